# TCP connections as fast as they go, or at a rate, in the network namespace it runs in; every Debian has Perl.
#   connections.pl serve PORT PROCESSES                         accepts and closes
#   connections.pl open ADDRESS PORT CLIENTS SECONDS [RATE]     prints how many were opened in a second, of all clients; RATE: not more than that
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time sleep);

my $mode = shift;

if ($mode eq 'serve') {
	my ($port, $processes) = @ARGV;
	socket(my $listener, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
	setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, pack('l', 1));
	bind($listener, sockaddr_in($port, INADDR_ANY)) or die "bind: $!\n";
	listen($listener, 4096) or die "listen: $!\n";
	for (2 .. $processes) { last unless fork }
	while (1) { close $_ if accept($_, $listener) }
}

my ($address, $port, $clients, $seconds, $rate) = @ARGV;
my $to = sockaddr_in($port, inet_aton($address));
pipe(my $results, my $told) or die "pipe: $!\n";
my $start = time + 0.05;
for (1 .. $clients) {
	next if fork;
	sleep($start - time);
	my ($count, $end) = (0, $start + $seconds);
	while (time < $end) {
		if ($rate) {
			my $ahead = $start + $count * $clients / $rate - time;
			sleep($ahead) if $ahead > 0.001;
		}
		socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
		# Ends with a reset: a port that waits for late segments could not be used again.
		setsockopt($socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
		connect($socket, $to) or die "connect: $!\n";
		close $socket;
		$count++;
	}
	syswrite $told, "$count\n";
	exit 0;
}
close $told;
my $sum = 0;
$sum += $_ while <$results>;
printf "%.1f\n", $sum / $seconds;
