"""What an instance does when it boots, before the container agent starts: jobs kept from the
instance's role, the watch for the end of a Spot machine, images of the AMI, scratch disks, EFA,
Lustre.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from config.disks import Gp3, Scratch
from workloads.variables import ENV_RECLAIM_SIGNAL

SCRATCH_PATH: Final = "/scratch"
"""Where instances mount their disk for temporary files, and where jobs find it."""
SCRATCH_DEVICE: Final = "/dev/sdf"
"""The volume of scratch of kind gp3 in the launch template (EC2 user guide, device_naming: sdf to
sdp are for volumes of EBS).
"""
_SPOT_WATCH: Final = "/usr/local/bin/spot-watch"
_BOUNDARY: Final = "==BATCHREFERENCE=="

_METADATA: Final = r"""#!/bin/bash
# Jobs have roles of their own. The instance's, which the container agent works with, is not for them: it reads every image and log group.
# Nodes of multi-node jobs have interfaces of their own, where the agent itself blocks the instance metadata service.
mkdir -p /etc/ecs
echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config
# All other jobs share the network of the host, where the agent and the services of the AMI, which are root, need it; containers are not.
if ! iptables -I OUTPUT -d 169.254.169.254/32 -m owner ! --uid-owner 0 -j REJECT; then
  echo "metadata: no firewall rule, jobs can take the role of this instance" | tee /dev/kmsg >&2
fi
"""

_SPOT: Final = rf"""#!/bin/bash
# EC2 says two minutes before that it takes the machine back (EC2 user guide, spot-instance-termination-notices; AWS advises a look each 5 s).
# The agent then takes no new tasks. Who runs is told by the signal that the container's {ENV_RECLAIM_SIGNAL} names; others go on.
echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config
cat > {_SPOT_WATCH} <<'EOF'
#!/bin/bash
at=http://169.254.169.254/latest
while sleep "${{1:-5}}"; do
  token=$(curl -sf -m 2 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$at/api/token") || continue
  curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" "$at/meta-data/spot/instance-action" || continue
  for container in $(docker ps --quiet); do
    signal=$(docker inspect --format '{{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}}' "$container" | sed -n 's/^{ENV_RECLAIM_SIGNAL}=//p')
    [ -z "$signal" ] || docker kill --signal "$signal" "$container"
  done
  exit 0
done
EOF
chmod 755 {_SPOT_WATCH}
systemd-run --unit=spot-watch --property=Restart=on-failure {_SPOT_WATCH} || echo "spot: nobody watches for the notice" | tee /dev/kmsg >&2
"""

_PREPARED: Final = r"""#!/bin/bash
# The images are on the AMI. Jobs name them by digest, so that asking the registry for another under the same name finds none.
echo ECS_IMAGE_PULL_BEHAVIOR=prefer-cached >> /etc/ecs/ecs.config
"""

_EFA: Final = r"""#!/bin/bash
# The kernel module comes with the AMI; a job asks for its devices, and does not start where they are missing.
modprobe efa || true
if ! ls /dev/infiniband/uverbs* > /dev/null 2>&1; then
  echo "no EFA device at /dev/infiniband: check instance type, launch template and AMI" | tee /dev/kmsg >&2
fi
"""

_FAILED: Final = rf"""
no_scratch() {{
  echo "scratch: $1, jobs that need it fail here" | tee /dev/kmsg >&2
  # a directory would let jobs fill the root volume in its place
  rmdir {SCRATCH_PATH} 2> /dev/null
  touch {SCRATCH_PATH}
  exit 1
}}
"""

_MOUNT: Final = rf"""
mkdir -p {SCRATCH_PATH}
mkfs.xfs -f -K "$device" && mount -o noatime "$device" {SCRATCH_PATH} || no_scratch "$device was not mounted"
# containers do not run as root
chmod 1777 {SCRATCH_PATH}
echo "scratch: $device"
"""

_INSTANCE_STORE: Final = rf"""#!/bin/bash
# The agent's unit waits for this script, so no job starts before the mount.
set -uo pipefail
{_FAILED}
links=(/dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_*)
mapfile -t disks < <(readlink -f "${{links[@]}}" | grep -E '^/dev/nvme[0-9]+n1$' | sort -u)
[ "${{#disks[@]}}" -gt 0 ] || no_scratch "no instance-store disk"
device="${{disks[0]}}"
if [ "${{#disks[@]}}" -gt 1 ]; then
  command -v mdadm > /dev/null || dnf install -y mdadm
  if mdadm --create /dev/md0 --run --level=0 --raid-devices="${{#disks[@]}}" "${{disks[@]}}"; then
    device=/dev/md0
  else
    echo "scratch: no RAID over ${{disks[*]}}, taking the first disk alone" | tee /dev/kmsg >&2
  fi
fi
{_MOUNT}"""

_GP3: Final = rf"""#!/bin/bash
# The agent's unit waits for this script, so no job starts before the mount. The volume is the one of EBS with nothing on it, and not that
# of the system: its kernel name is made up at each boot, and links by the name of the launch template are there on some AMIs only.
set -uo pipefail
{_FAILED}
empty() {{
  blkid -p "$1" > /dev/null 2>&1
  [ $? -eq 2 ]
}}
root=$(lsblk -nso NAME,TYPE "$(findmnt -no SOURCE /)" -r | sed -n 's|^\(\S*\) disk$|/dev/\1|p')
[ -n "$root" ] || no_scratch "which disk the system runs on is not known"
device=""
for _ in $(seq 30); do
  links=({SCRATCH_DEVICE} {SCRATCH_DEVICE.replace("/sd", "/xvd")} /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol*)
  for found in $(readlink -e "${{links[@]}}" | grep -E '^/dev/(nvme[0-9]+n1|xvd[a-z]+|sd[a-z]+)$' | grep -vxF "$root"); do
    if [ -z "$device" ] && empty "$found"; then
      device=$found
    fi
  done
  [ -z "$device" ] || break
  sleep 1
done
[ -n "$device" ] || no_scratch "no empty volume at {SCRATCH_DEVICE}"
{_MOUNT}"""


_LUSTRE: Final = r"""#!/bin/bash
# The agent's unit waits for this script, so no job starts before the mount.
set -uo pipefail
mkdir -p {path}
command -v mount.lustre > /dev/null || dnf install -y lustre-client
if mount -t lustre -o relatime,flock {source} {path}; then
  for directory in {directories}; do
    mkdir -p "{path}$directory"
    # containers do not run as root
    chmod 1777 "{path}$directory"
  done
else
  echo "lustre: {source} not mounted, jobs with a volume of it fail to start here" | tee /dev/kmsg >&2
  # a directory would let jobs write to the root volume in its place, where nobody else sees it
  rmdir {path} && touch {path}
fi
"""


@dataclass(frozen=True, kw_only=True)
class LustreSource:
    """A file system of FSx for Lustre that an instance mounts."""

    path: str
    """Where it mounts it."""
    dns_name: str
    mount_name: str
    directories: tuple[str, ...]
    """Directories that jobs may write to, made if need be."""

    @property
    def script(self) -> str:
        """The boot script's part (FSx for Lustre user guide, install-lustre-client and
        mounting-ec2-instance).
        """
        return _LUSTRE.format(
            path=self.path,
            source=f"{self.dns_name}@tcp:/{self.mount_name}",
            directories=" ".join(self.directories) or '""',
        )


def user_data(
    *,
    scratch: Scratch | None,
    efa: bool,
    spot: bool,
    lustre: LustreSource | None = None,
    prepared: bool = False,
) -> str:
    """Base64 of a MIME multipart archive of shell scripts.

    AWS Batch adds a part of its own, so that plain scripts are refused (AWS Batch user guide,
    launch-templates). Everything here takes seconds: an instance registers, and jobs leave
    RUNNABLE, only after it.
    """
    scripts = [
        _METADATA,
        *([_SPOT] if spot else []),
        *([_PREPARED] if prepared else []),
        *([_EFA] if efa else []),
    ]
    if scratch is not None:
        scripts.append(_GP3 if isinstance(scratch, Gp3) else _INSTANCE_STORE)
    scripts += [lustre.script] if lustre is not None else []
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"', ""]
    for script in scripts:
        lines += [
            f"--{_BOUNDARY}",
            'Content-Type: text/x-shellscript; charset="us-ascii"',
            "",
            script,
        ]
    lines += [f"--{_BOUNDARY}--", ""]
    return base64.b64encode("\n".join(lines).encode("ascii")).decode("ascii")
