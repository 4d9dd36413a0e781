#!/usr/bin/env bash
# First process inside the namespaces of one cluster: gives it a /run, a /var/lib and a network of its own, starts the rest and
# buries the processes that nobody else waits for. Nothing here is seen outside; when this process ends, the kernel ends all others.
#   unshare [--user --map-root-user --map-auto] --net --mount --pid --fork --mount-proc --propagation private --kill-child enter.sh ADDRESS KUBELET_FOLDER COMMAND...
set -euo pipefail
address=$1 kubelet=$2
shift 2

mount -t tmpfs -o mode=755 cupel-run /run
mkdir -p /run/netns /run/lock /run/var-lib
mount -t tmpfs -o mode=755 cupel-log /var/log

# kubelet and the CNI plugins insist on fixed folders in /var/lib. The real ones stay out of reach, everything else stays visible:
# the checkout or the cache may live there.
# In a user namespace a folder with mounts below it can only be had together with them.
bind() { mount --bind "$1" "$2" 2>/dev/null || mount --rbind "$1" "$2"; }
bind /var/lib /run/var-lib
mount -t tmpfs -o mode=755 cupel-lib /var/lib
mkdir -p /var/lib/kubelet /var/lib/cni
for folder in /run/var-lib/*/; do
  name=$(basename "$folder")
  case $name in kubelet | cni) continue ;; esac
  mkdir -p "/var/lib/$name"
  bind "$folder" "/var/lib/$name"
done

# kubelet's sockets need the short path, its volumes a real file system.
mount --bind "$kubelet" /var/lib/kubelet

# The node's address lies on the loopback device: no link leaves this network. The default route makes Service addresses, which
# exist only in kube-proxy's rules, routable for processes of the node.
ip link set lo up
ip addr add "$address/32" dev lo
ip route add default dev lo src "$address"
echo 1 >/proc/sys/net/ipv4/ip_forward

"$@" &
wait $!
