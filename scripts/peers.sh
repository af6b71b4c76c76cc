#!/bin/sh
# Installs the Debian packages that the benchmarks and some tests compare Tulle with or drive it by.
# They are optional: what needs one and does not find it says so and is skipped.
set -eu
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
$sudo apt-get update
# Another kubectl will do as well, and Debian's cannot be installed beside it.
kubectl=""
command -v kubectl >/dev/null 2>&1 || kubectl="kubernetes-client"
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  wrk nginx apache2-bin haproxy openssl bind9-dnsutils nghttp2-client nghttp2-server curl redis-server nftables iptables iproute2 testssl.sh bsdextrautils python3-cryptography-vectors $kubectl
# Debian starts these as services; the benchmarks and tests start their own.
for service in nginx haproxy redis-server; do
  if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    $sudo systemctl disable --now "$service" || true
  fi
done
