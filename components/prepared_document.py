"""What an instance does while EC2 Image Builder makes an AMI of it, and what is asked of the AMI.

Component documents of AWS TOE (EC2 Image Builder user guide, toe-use-documents), as JSON, which
YAML takes; two braces have a meaning of their own there. They name no container images: these
stand in a parameter of Systems Manager, so that new images need another build and not another
recipe.
"""

from __future__ import annotations

import json
from typing import Final

_LOGIN: Final = r"""set -euo pipefail
systemctl start docker
command -v aws > /dev/null || dnf install -y awscli-2
images=$(aws ssm get-parameter --region {region} --name {parameter} --query Parameter.Value --output text)
"""
_PULL: Final = r"""# a login lasts for hours, and would be in the AMI; AWS says that this runs as root, and not what HOME is
DOCKER_CONFIG=$(mktemp -d)
export DOCKER_CONFIG
for image in $images; do
  aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin "${{image%%/*}}"
  docker pull --quiet "$image"
done
rm -rf "$DOCKER_CONFIG"
"""
_CLEAN: Final = r"""set -euo pipefail
# who this instance is to ECS; one that boots the AMI is another (AWS Batch user guide, create-batch-ami)
systemctl stop ecs || true
rm -rf /var/lib/ecs/data/*
dnf clean all
"""
_PRESENT: Final = r"""set -euo pipefail
systemctl is-enabled docker ecs
systemctl start docker
docker image inspect amazon/amazon-ecs-agent:latest > /dev/null
while read -r image; do docker image inspect "$image" > /dev/null; done < /var/lib/ecs/prepared-images
"""
_REMEMBER: Final = r"""mkdir -p /var/lib/ecs
printf '%s\n' $images > /var/lib/ecs/prepared-images
"""
_GPU: Final = r"""set -euo pipefail
nvidia-smi
while read -r image; do
  case "$image" in
    */gpu@*) docker run --rm --gpus all "$image" python -c 'import cupy; assert float(cupy.arange(4.0).sum()) == 6' ;;
  esac
done < /var/lib/ecs/prepared-images
"""


def component_document(*, region: str, parameter: str, gpu: bool) -> str:
    """The document of an environment's component.

    Build: the images are pulled, and nothing of the build's own identity stays. Validate, on the
    same instance: they are there, and the container agent starts with the machine. Test, on an
    instance that booted the AMI: the same, and with a driver CuPy computes on the GPU.

    Args:
        region: Where registry and parameter are.
        parameter: Name of the parameter with the images, separated by spaces.
        gpu: Whether the AMI has the NVIDIA driver.
    """
    names = {"region": region, "parameter": parameter}
    pull = (_LOGIN + _PULL + _REMEMBER).format(**names)
    phases = {
        "build": [_bash("PullImages", pull), _bash("LeaveNoIdentity", _CLEAN)],
        "validate": [_bash("ImagesArePresent", _PRESENT)],
        "test": [
            _bash("ImagesArePresent", _PRESENT),
            *([_bash("GpuComputes", _GPU)] if gpu else []),
        ],
    }
    return json.dumps(
        {
            "name": "prepared-image",
            "description": "Container images of the stack, pulled while the AMI is made",
            "schemaVersion": 1.0,
            "phases": [{"name": name, "steps": steps} for name, steps in phases.items()],
        },
        indent=1,
    )


def _bash(name: str, script: str) -> dict[str, object]:
    return {"name": name, "action": "ExecuteBash", "inputs": {"commands": [script]}}
