#!/bin/sh
# Does what the official image's entrypoint does, as far as compose.yaml needs it.
set -eu
chown rabbitmq /var/lib/rabbitmq
{
    echo "default_user = $RABBITMQ_DEFAULT_USER"
    echo "default_pass = $RABBITMQ_DEFAULT_PASS"
    echo "loopback_users = none"
} >/etc/rabbitmq/rabbitmq.conf
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none"
exec setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups /usr/lib/rabbitmq/bin/rabbitmq-server
