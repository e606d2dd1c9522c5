"""Nightly CSV analysis on AWS Batch: one stack.

What it may look like is said in config/, how it is built in components/.
"""

from __future__ import annotations

import pulumi

from components.budget import Budget, BudgetArgs
from components.context import StackContext
from components.environments import Environments, EnvironmentsArgs
from components.images import Images, ImagesArgs
from components.jobs import Jobs, JobsArgs
from components.monitoring.monitoring import Monitoring, MonitoringArgs
from components.network import Network, NetworkArgs
from components.pipeline import Pipeline, PipelineArgs
from components.prepared_images import PreparedImagesArgs, prepared_images
from components.queues import Queues, QueuesArgs
from components.roles import Roles, RolesArgs
from components.secrets import Secrets, SecretsArgs
from components.settings import read_config, slack_webhook_url
from components.storage import Storage, StorageArgs
from components.volumes import Volumes
from config.topology import reclaims_are_counted

config = read_config()
context = StackContext.current(config.tags)

network = Network("network", NetworkArgs(context=context, section=config.network))
storage = Storage("storage", StorageArgs(context=context, section=config.storage))
images = Images("images", ImagesArgs(context=context, section=config.images))
secrets = Secrets("secrets", SecretsArgs(context=context, slack_webhook_url=slack_webhook_url()))
volumes = Volumes.made(config, context, network, storage)
roles = Roles(
    "roles",
    RolesArgs(
        context=context,
        storage=storage,
        secrets=secrets,
        images=images,
        volumes=volumes,
        counts_reclaims=reclaims_are_counted(config),
    ),
)
environments = Environments(
    "environments",
    EnvironmentsArgs(
        context=context,
        environments=config.environments,
        network=network,
        roles=roles,
        volumes=volumes,
        image_ids=prepared_images(
            PreparedImagesArgs(context=context, config=config, network=network, images=images)
        ),
    ),
)
queues = Queues(
    "queues", QueuesArgs(context=context, queues=config.queues, environment_arns=environments.arns)
)
jobs = Jobs(
    "jobs",
    JobsArgs(
        context=context,
        config=config,
        storage=storage,
        images=images,
        secrets=secrets,
        roles=roles,
        volumes=volumes,
    ),
)
pipeline = Pipeline(
    "pipeline",
    PipelineArgs(
        context=context, config=config, storage=storage, secrets=secrets, queues=queues, jobs=jobs
    ),
)
budget = Budget(
    "budget",
    BudgetArgs(
        context=context,
        config=config,
        storage=storage,
        secrets=secrets,
        queues=queues,
        pipeline=pipeline,
    ),
)
monitoring = Monitoring(
    "monitoring",
    MonitoringArgs(
        context=context,
        config=config,
        storage=storage,
        secrets=secrets,
        queues=queues,
        environments=environments,
        jobs=jobs,
        state_machine_arns=pipeline.state_machine_arns,
        submit=pipeline.submit,
        watched={**pipeline.functions, **budget.functions},
    ),
)

pulumi.export("region", context.region)
pulumi.export("vpc_id", network.vpc_id)
pulumi.export("ingest_bucket", storage.ingest.bucket)
pulumi.export("intermediate_bucket", storage.intermediate.bucket)
pulumi.export("results_bucket", storage.results.bucket)
pulumi.export("table", storage.table.name)
pulumi.export("cpu_repository_url", images.cpu_repository_url)
pulumi.export("gpu_repository_url", images.gpu_repository_url)
pulumi.export("environments", environments.names)
pulumi.export("queues", queues.names)
pulumi.export("queue_arns", queues.arns)
pulumi.export("stage_queues", pipeline.stage_queues)
pulumi.export(
    "stage_job_definitions",
    {stage: definition.name for stage, definition in jobs.definitions.items()},
)
pulumi.export("analysis_is_multi_node", jobs.definitions["analysis"].multi_node)
pulumi.export("analysis_shards", jobs.definitions["analysis"].shards)
pulumi.export("log_groups", jobs.log_group_names)
pulumi.export("state_machine_arn", pipeline.state_machine_arns.get("run", ""))
pulumi.export("day_machine_arn", pipeline.state_machine_arns.get("day", ""))
pulumi.export("submit_function", pipeline.submit.name)
pulumi.export("notify_function", monitoring.notify.name)
pulumi.export(
    "dead_letter_queues",
    {
        name: {"url": function.dead_letters.url, "function": function.name}
        for name, function in (pipeline.functions | monitoring.notifiers).items()
    },
)
pulumi.export("alarm_topic_arn", monitoring.topic_arn)
