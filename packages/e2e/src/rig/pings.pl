#!/usr/bin/perl
# Echo requests at an even rate, and a line for each answer, with the time at which the kernel had it, or for what could not be sent. The ping of
# iputils does the same, but keeps a processor busy all the time when less than 10 ms lie between two requests.
# pings.pl ADDRESS SECONDS
use strict;
use warnings;
use Socket qw(AF_INET SOCK_RAW SOL_SOCKET inet_aton inet_ntoa pack_sockaddr_in);
use Time::HiRes qw(time);

my ($address, $interval) = @ARGV;
my $to = pack_sockaddr_in(0, inet_aton($address) // die "no address: $address\n");
socket(my $socket, AF_INET, SOCK_RAW, 1) or die "socket: $!\n";
# SO_RCVBUFFORCE: an answer that waits for this process on a busy machine has come all the same.
setsockopt($socket, SOL_SOCKET, 33, pack('i', 8 << 20)) or die "receive buffer: $!\n";
$| = 1;

sub checksum {
	my $sum = 0;
	$sum += $_ for unpack('n*', $_[0]);
	$sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
	return ~$sum & 0xffff;
}

sub unpack_time { my ($seconds, $micros) = unpack('l! l!', $_[0]); return $seconds + $micros / 1e6 }

my $id = $$ & 0xffff;
# Counted in the payload: the number in the header has 16 bits only.
my $sent = 0;
my $next = time;
while (1) {
	my $now = time;
	if ($now >= $next) {
		my $data = pack('N d x44', ++$sent, $now);
		my @head = (8, 0, 0, $id, $sent & 0xffff);
		$head[2] = checksum(pack('CCnnn', @head) . $data);
		# What cannot be sent is a ping without an answer.
		defined send($socket, pack('CCnnn', @head) . $data, 0, $to) or print "send $sent: $!\n";
		# Late is late: no burst makes up for it.
		$next += $interval;
		$next = $now if $next < $now;
	}
	vec(my $readable = '', fileno $socket, 1) = 1;
	my $left = $next - time;
	next unless select($readable, undef, undef, $left > 0 ? $left : 0) > 0;
	my $from = recv($socket, my $packet, 2048, 0) // next;
	my $length = 4 * (ord($packet) & 15);
	my ($type, undef, undef, $whose) = unpack("x$length CCnn", $packet);
	next if $type != 0 || $whose != $id || length($packet) != $length + 64;
	my ($number, $at) = unpack("x$length x8 N d", $packet);
	my (undef, $peer) = Socket::unpack_sockaddr_in($from);
	# SIOCGSTAMP: a process that waits for a processor takes it out of its queue late.
	my $stamp = pack('x16');
	my $arrived = ioctl($socket, 0x8906, $stamp) ? unpack_time($stamp) : time;
	$arrived = time if $arrived < $at;
	printf "[%.6f] 64 bytes from %s: icmp_seq=%d time=%.3f ms\n", $arrived, inet_ntoa($peer), $number, ($arrived - $at) * 1000;
}
