#!/bin/sh
# What the installer says in the end, as people know it.
cat <<END

Installation is complete
=========================================================

Please export DOCKER_HOST=tcp://192.168.2.50:2375 in your shell before proceeding
Configure the setup as follows:
 Configure forwarding mode (optional, default is bridge).
 netctl global set --fwd-mode routing
 Create a default network
 netctl net create -t default --subnet=<CIDR> default-net
 For example, netctl net create -t default --subnet=20.1.1.0/24 default-net

=========================================================
END
