#!/bin/sh
# Prints the variables that compose.yaml asks for, with random passwords:
#   (umask 077; servers/compose-env.sh > .env)
set -eu
for name in MARIADB_PASSWORD REDIS_PASSWORD; do
    printf '%s=%s\n' "$name" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
done
