# Sends and sees whole Ethernet frames in the network namespace it runs in; every Debian has Perl.
#   raw-frames.pl send IF            sends the frames on standard input, one per line in hex
#   raw-frames.pl udp FROM TO PORT   sends what standard input holds, one payload per line in hex, by an ordinary UDP socket on port FROM
#   raw-frames.pl syn IF FROM TO MAC COUNT SPORTS   sends COUNT TCP SYNs to TO behind MAC, each of a connection of its own: from SPORTS ports, then
#                                                   from the same to the next port of TO; SPORTS = 1 is a port scan
#   raw-frames.pl watch IF MARK SEC  prints "ready", then each frame that arrives and contains the bytes of MARK, in hex, for SEC seconds
use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes 'time';

use constant { PF_PACKET => 17, SOCK_RAW => 3, ETH_P_ALL => 0x0003, SIOCGIFINDEX => 0x8933, SIOCGIFHWADDR => 0x8927, PACKET_OUTGOING => 4 };

my ($mode, $device, $mark, $seconds) = @ARGV;

if ($mode eq 'udp') {
	my (undef, $from, $to, $port) = @ARGV;
	my $socket = IO::Socket::INET->new(Proto => 'udp', LocalPort => $from, PeerAddr => $to, PeerPort => $port) or die "socket: $@\n";
	while (my $line = <STDIN>) {
		chomp $line;
		# What a refusal of the packet before leaves behind is no failure of this one.
		$socket->send(pack('H*', $line)) // $socket->send(pack('H*', $line)) // die "send: $!\n";
	}
	exit 0;
}

socket(my $socket, PF_PACKET, SOCK_RAW, unpack('n', pack('S', ETH_P_ALL))) or die "socket: $!\n";
my $request = pack('a16 x16', $device);
ioctl($socket, SIOCGIFINDEX, $request) or die "$device: $!\n";
my $index = unpack('x16 i', $request);

sub address { my ($protocol, $mac) = @_; return pack('S n i S C C a8', PF_PACKET, $protocol, $index, 0, 0, 6, $mac) }

sub folded { my ($sum) = @_; $sum = ($sum & 0xffff) + ($sum >> 16) while $sum > 0xffff; return ~$sum & 0xffff }
sub words { my $sum = 0; $sum += $_ for unpack('n*', $_[0]); return $sum }

if ($mode eq 'syn') {
	my (undef, undef, $from, $to, $mac, $count, $sports) = @ARGV;
	my ($source, $target) = map { inet_aton($_) } $from, $to;
	my $asked = pack('a16 x24', $device);
	ioctl($socket, SIOCGIFHWADDR, $asked) or die "$device: $!\n";
	my ($own, $peer) = (substr($asked, 18, 6), pack('H*', $mac =~ s/://gr));
	my $ip = pack('C C n n n C C n a4 a4', 0x45, 0, 40, 1, 0, 64, 6, 0, $source, $target);
	substr($ip, 10, 2) = pack('n', folded(words($ip)));
	my $head = $peer . $own . pack('n', 0x0800) . $ip;
	my $rest = pack('N N C C n n n', 1, 0, 0x50, 2, 64240, 0, 0);
	my $sum = words($rest) + words($source) + words($target) + 6 + 20;
	my $at = address(0x0800, $peer);
	for my $i (0 .. $count - 1) {
		my ($sport, $dport) = (1024 + $i % $sports, 1 + int($i / $sports));
		substr($rest, 12, 2) = pack('n', folded($sum + $sport + $dport));
		# What the interface has no room for is sent again.
		1 until defined send($socket, $head . pack('n n', $sport, $dport) . $rest, 0, $at);
	}
} elsif ($mode eq 'send') {
	while (my $line = <STDIN>) {
		chomp $line;
		next if $line eq '';
		my $frame = pack('H*', $line);
		defined send($socket, $frame, 0, address(unpack('x12 n', $frame), substr($frame, 0, 6))) or die "send: $!\n";
	}
} else {
	bind($socket, address(ETH_P_ALL, '')) or die "bind: $!\n";
	$| = 1;
	print "ready\n";
	my ($bytes, $end) = (pack('H*', $mark), time + $seconds);
	while ((my $left = $end - time) > 0) {
		my $ready = '';
		vec($ready, fileno($socket), 1) = 1;
		next unless select($ready, undef, undef, $left);
		my $from = recv($socket, my $frame, 65536, 0);
		next unless defined $from;
		# Byte 10 of sockaddr_ll is the packet's type: what this namespace has sent itself is not news.
		next if unpack('x10 C', $from) == PACKET_OUTGOING;
		print unpack('H*', $frame), "\n" if index($frame, $bytes) >= 0;
	}
}
