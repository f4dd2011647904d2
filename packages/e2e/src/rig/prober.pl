# Probes containers of one host from within their networks, all at once, and serves there what others probe: one process for all of them.
# Commands on standard input, answers on standard output, a line each:
#   enter NAME PID NUMBER                 serves in the network of process PID from now on  → entered NAME
#   probe RUN WAIT LIMIT, then lines INDEX FROM KIND ADDRESS PORT WANTED, then go           → INDEX ANSWERER …, done RUN
#   drip ID FROM KIND ADDRESS PORT        a new connection every millisecond, until         → dripping ID
#   stop ID                                                                                 → dripped ID SENT ANSWERED
# KIND: tcp, udp, sctp (a datagram of its port numbers), 253 (a protocol without ports) or ping, with a 6 behind it over IPv6. Who is probed
# answers with its name; an echo is answered by the kernel, so its ANSWERER is "-". A probe that is WANTED is asked again every second and
# awaited until LIMIT; the others have as long as those needed, at least WAIT. All times in milliseconds.
use strict;
use warnings;
use Errno qw(EINPROGRESS);
use IO::Poll qw(POLLIN POLLOUT POLLERR POLLHUP);
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 IPPROTO_TCP IPPROTO_UDP IPPROTO_ICMPV6 IPV6_V6ONLY IPPROTO_IPV6);
use Time::HiRes 'time';
use POSIX ();

use constant { CLONE_NEWNET => 0x40000000, EXPERIMENTAL => 253, SCTP => 132, AGAIN_MS => 1000, RING => 256 };
my %SETNS = (x86_64 => 308, aarch64 => 268);
my $setns = $SETNS{ (POSIX::uname())[4] } // die "setns: unknown machine\n";
my @PORTS = (80, 81);
my %PROTOCOL = (tcp => IPPROTO_TCP, udp => IPPROTO_UDP, sctp => SCTP, 253 => EXPERIMENTAL);

$| = 1;
my (%pid, %number, %servers, %watched);

sub watch { my ($fh, $mask, $work) = @_; $watched{ fileno $fh } = [$mask, $work, $fh] }
sub forget { my ($fh) = @_; delete $watched{ fileno $fh }; close $fh }

sub turn {
	my ($ms) = @_;
	my @poll = map { ($_ => $watched{$_}[0]) } keys %watched;
	IO::Poll::_poll($ms, @poll);
	while (my ($fd, $mask) = splice @poll, 0, 2) {
		my $what = $mask ? $watched{$fd} : undef;
		$what->[1]->($what->[2]) if $what;
	}
}

# Sockets belong to the network they were made in.
my $inside = '';
sub within {
	my ($name) = @_;
	return if $inside eq $name;
	$inside = $name;
	open(my $ns, '<', "/proc/$pid{$name}/ns/net") or die "$name: $!\n";
	syscall($setns, fileno $ns, CLONE_NEWNET) == 0 or die "setns $name: $!\n";
}

sub make {
	my ($six, $type, $protocol) = @_;
	socket(my $fh, $six ? AF_INET6 : AF_INET, $type, $protocol) or die "socket: $!\n";
	$fh->blocking(0);
	setsockopt($fh, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $six;
	return $fh;
}

sub address { my ($six, $ip, $port) = @_; return $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $ip)) : pack_sockaddr_in($port, inet_pton(AF_INET, $ip)) }

# What IPv4's raw sockets put before the payload.
sub payload { my ($six, $data) = @_; return $six ? $data : substr($data, 4 * (ord($data) & 15)) }

# Twelve bytes of SCTP's common header before the words; nothing else listens.
sub wrapped { my ($kind, $from, $to, $words) = @_; return $kind eq 'sctp' ? pack('n n N N', $from, $to, 0, 0) . $words : $words }

sub serve {
	my ($name) = @_;
	within($name);
	forget($_) for @{ delete $servers{$name} // [] };
	for my $six (0, 1) {
		my $any = $six ? '::' : '0.0.0.0';
		for my $port (@PORTS) {
			my $tcp = make($six, SOCK_STREAM, IPPROTO_TCP);
			setsockopt($tcp, SOL_SOCKET, SO_REUSEADDR, 1);
			bind($tcp, address($six, $any, $port)) && listen($tcp, 512) or die "listen: $!\n";
			watch($tcp, POLLIN, sub {
				while (accept(my $caller, $_[0])) { syswrite($caller, $name); close $caller }
			});
			my $udp = make($six, SOCK_DGRAM, IPPROTO_UDP);
			bind($udp, address($six, $any, $port)) or die "bind: $!\n";
			watch($udp, POLLIN, sub {
				while (defined(my $from = recv($_[0], my $data, 512, 0))) { send($_[0], "A$1 $name", 0, $from) if $data =~ /^Q(.*)/ }
			});
			push @{ $servers{$name} }, $tcp, $udp;
		}
		for my $kind ('sctp', '253') {
			my $raw = make($six, SOCK_RAW, $PROTOCOL{$kind});
			watch($raw, POLLIN, sub { raw_came($name, $kind, $six, $_[0]) });
			push @{ $servers{$name} }, $raw;
		}
	}
}

my $now;    # the probes under way: run, at (by index), open, left, answers
sub raw_came {
	my ($name, $kind, $six, $fh) = @_;
	while (defined(my $from = recv($fh, my $data, 2048, 0))) {
		$data = payload($six, $data);
		my ($sport, $dport) = (0, 0);
		($sport, $dport, $data) = (unpack('n n', $data), substr($data, 12)) if $kind eq 'sctp' && length $data > 12;
		if ($data =~ /^Q(.*)/s) { send($fh, wrapped($kind, $dport, $sport, "A$1 $name"), 0, $from) }
		elsif ($data =~ /^A(\d+) (\d+) (\S+)/) { answered($1, $2, $3) }
	}
}

sub answered {
	my ($run, $index, $who) = @_;
	return unless $now && $now->{run} == $run && !$now->{answers}{$index};
	$now->{answers}{$index} = $who;
	$now->{open}-- if $now->{at}{$index}{wanted};
	$now->{last} = time;
	print "$index $who\n";
}

# One socket for all datagrams of a container, family and run: what was decided for the run before is no help.
sub datagrams {
	my ($name, $six) = @_;
	return $now->{udp}{"$name $six"} //= do {
		within($name);
		my $fh = make($six, SOCK_DGRAM, IPPROTO_UDP);
		watch($fh, POLLIN, sub {
			while (defined recv($_[0], my $data, 512, 0)) { answered($1, $2, $3) if $data =~ /^A(\d+) (\d+) (\S+)/ }
		});
		$fh;
	};
}

# Echoes of two containers are two connections only with two identifiers.
sub identifier { my ($name) = @_; return ($number{$name} * 1024 + $now->{run} % 1024) & 0xffff }

sub checksum {
	my ($sum, @words) = (0, unpack('n*', $_[0] . (length($_[0]) % 2 ? "\0" : '')));
	$sum += $_ for @words;
	$sum = ($sum & 0xffff) + ($sum >> 16) while $sum > 0xffff;
	return ~$sum & 0xffff;
}

sub echo {
	my ($six, $id, $sequence, $words) = @_;
	my $type = $six ? 128 : 8;
	my $sum = $six ? 0 : checksum(pack('C C n n n', $type, 0, 0, $id, $sequence) . $words);
	return pack('C C n n n', $type, 0, $sum, $id, $sequence) . $words;
}

sub echoes {
	my ($name, $six) = @_;
	return $now->{icmp}{"$name $six"} //= do {
		within($name);
		my $fh = make($six, SOCK_RAW, $six ? IPPROTO_ICMPV6 : Socket::IPPROTO_ICMP());
		watch($fh, POLLIN, sub {
			while (defined recv($_[0], my $data, 2048, 0)) {
				$data = payload($six, $data);
				my ($type) = unpack('C', $data);
				answered($1, $2, '-') if $type == ($six ? 129 : 0) && substr($data, 8) =~ /^P(\d+) (\d+)/;
			}
		});
		$fh;
	};
}

sub call {
	my ($probe) = @_;
	my ($name, $six) = @$probe{qw(from six)};
	within($name);
	my $fh = make($six, SOCK_STREAM, IPPROTO_TCP);
	connect($fh, address($six, @$probe{qw(ip port)})) or $! == EINPROGRESS or return close $fh;
	$now->{tcp}{ fileno $fh } = $fh;
	my $end = sub { delete $now->{tcp}{ fileno $_[0] }; forget($_[0]) };
	watch($fh, POLLIN, sub {
		my $got = sysread($_[0], my $who, 64);
		return if !defined $got && $!{EAGAIN};
		answered($now->{run}, $probe->{index}, $who) if $got;
		$end->($_[0]);
	});
}

sub ask {
	my ($probe) = @_;
	my ($kind, $name, $six, $port) = @$probe{qw(kind from six port)};
	my $words = "$now->{run} $probe->{index}";
	my $to = address($six, $probe->{ip}, $kind eq 'udp' ? $port : 0);
	if ($kind eq 'udp') { send(datagrams($name, $six), "Q$words", 0, $to) }
	elsif ($kind eq 'ping') { send(echoes($name, $six), echo($six, identifier($name), $probe->{index} & 0xffff, "P$words"), 0, $to) }
	else {
		# The raw server of the same container sends, and sees what comes back.
		send($probe->{raw}, wrapped($kind, 20000 + $probe->{index} % 40000, $port, "Q$words"), 0, $to);
	}
}

sub parse {
	my ($index, $from, $kind, $ip, $port, $wanted) = @_;
	my $six = $kind =~ s/^(tcp|udp|sctp|253|ping)6$/$1/ ? 1 : 0;
	my %probe = (index => $index, from => $from, kind => $kind, six => $six, ip => $ip, port => $port, wanted => $wanted);
	# Servers of a family: tcp, udp for each port, then sctp, 253.
	$probe{raw} = $servers{$from}[$six * (2 * @PORTS + 2) + 2 * @PORTS + ($kind eq '253' ? 1 : 0)] if $kind eq 'sctp' || $kind eq '253';
	return \%probe;
}

sub probe {
	my ($run, $wait, $limit, @probes) = @_;
	my $began = time;
	$now = { run => $run, at => { map { ($_->{index} => $_) } @probes }, open => scalar(grep { $_->{wanted} } @probes), answers => {}, last => $began };
	for my $i (0 .. $#probes) {
		$probes[$i]{kind} eq 'tcp' ? call($probes[$i]) : ask($probes[$i]);
		turn(0) if $i % 256 == 255;
	}
	my ($sent, $again) = (time, time);
	while (1) {
		# Answers that come meanwhile are read together.
		select(undef, undef, undef, 0.01);
		turn(0);
		my $at = time;
		if ($at - $again > AGAIN_MS / 1000) {
			$again = $at;
			ask($_) for grep { $_->{wanted} && $_->{kind} ne 'tcp' && !$now->{answers}{ $_->{index} } } @probes;
		}
		last if $at - $began > $limit / 1000;
		my $needed = 2 * ($now->{last} - $sent);
		last if $now->{open} == 0 && $at - $sent > ($needed > $wait / 1000 ? $needed : $wait / 1000);
	}
	forget($_) for values %{ $now->{udp} }, values %{ $now->{icmp} }, values %{ $now->{tcp} };
	undef $now;
	print "done $run\n";
}

my %drips;
sub drip {
	my ($drip) = @_;
	my ($name, $six, $kind) = @{ $drip->{probe} }{qw(from six kind)};
	my $ip = $drip->{probe}{ip};
	return if time < $drip->{due};
	$drip->{due} = time + 0.001;
	my $count = ++$drip->{sent};
	within($name);
	if ($kind eq 'ping') {
		my $fh = $drip->{echo} //= do {
			my $fh = make($six, SOCK_RAW, $six ? IPPROTO_ICMPV6 : Socket::IPPROTO_ICMP());
			watch($fh, POLLIN, sub {
				while (defined recv($_[0], my $data, 2048, 0)) {
					$data = payload($six, $data);
					$drip->{answered}++ if unpack('C', $data) == ($six ? 129 : 0) && substr($data, 8) eq "D$drip->{id}";
				}
			});
			$fh;
		};
		send($fh, echo($six, $count & 0xffff, 1, "D$drip->{id}"), 0, address($six, $ip, 0));
		return;
	}
	my $fh = make($six, SOCK_DGRAM, IPPROTO_UDP);
	watch($fh, POLLIN, sub { $drip->{answered}++ if defined recv($_[0], my $data, 512, 0) });
	send($fh, 'Q0 0', 0, address($six, $ip, $drip->{probe}{port}));
	push @{ $drip->{ring} }, $fh;
	forget(shift @{ $drip->{ring} }) if @{ $drip->{ring} } > RING;
}

sub stop {
	my ($drip) = @_;
	my $end = time + 0.3;
	turn(20) while time < $end;
	forget($_) for @{ $drip->{ring} // [] }, grep { defined } $drip->{echo};
	printf "dripped %s %d %d\n", $drip->{id}, $drip->{sent}, $drip->{answered};
}

my ($rest, @probes, @run) = ('');
sub command {
	my ($word, @args) = split ' ', $_[0];
	if ($word eq 'enter') {
		my ($name, $pid, $number) = @args;
		($pid{$name}, $number{$name}, $inside) = ($pid, $number, '');
		serve($name);
		print "entered $name\n";
	}
	elsif ($word eq 'probe') { (@run, @probes) = @args }
	elsif ($word eq 'go') { probe(@run, splice @probes) }
	elsif ($word eq 'drip') {
		my ($id, @what) = @args;
		$drips{$id} = { id => $id, sent => 0, answered => 0, due => 0, probe => parse(0, @what, 0) };
		print "dripping $id\n";
	}
	elsif ($word eq 'stop') { stop(delete $drips{ $args[0] }) }
	else { push @probes, parse($word, @args) }
}

my ($ended, @queue);
STDIN->blocking(0);
watch(\*STDIN, POLLIN, sub {
	my $got = sysread(STDIN, my $data, 1 << 20);
	return if !defined $got && $!{EAGAIN};
	return $ended = 1 unless $got;
	my @lines = split /\n/, $rest . $data, -1;
	$rest = pop @lines;
	push @queue, @lines;
});
until ($ended) {
	command(shift @queue) while @queue;
	drip($_) for values %drips;
	turn(%drips ? 1 : 1000);
}
