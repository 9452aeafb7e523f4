# What all rules share: who takes part, wildcard constraints, input functions, command prefixes.

import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The folder of the project, whose workflow another one may have as a module.
PROJECT = os.path.dirname(os.path.dirname(str(workflow.current_basedir)))
sys.path.insert(0, PROJECT)

from workflow import base, cluster, configuration, costs, environments, estimate, failures
from workflow import models, people, plan, refusals

ENVS = Path(PROJECT, ".envs")
DEPLOYED = {method.name for method in workflow.deployment_settings.deployment_method}

configuration.complete(config)
# A table is made in full if it is a target; Snakemake tells its targets only when the rules are read.
TARGETS = configuration.table_targets(sys.argv[1:] if workflow.is_main_process else None)
config["tables"] = sorted({*config["tables"], *TARGETS})

try:
    configuration.check(config)
    base.check(config)
    models.check(config)
    if workflow.is_main_process:
        if not DEPLOYED:
            environments.check_backends(config, ENVS, jobs_run_here=workflow.local_exec)
        models.check_files(config, None if DEPLOYED else ENVS / "torch" / "bin" / "python")
        plan.check(config)
    CAST = people.gather(config)
    configuration.check_geometry(config, CAST.targets)
    configuration.check_openface(config, CAST.everybody)
    if workflow.is_main_process and "APPTAINER" in DEPLOYED:
        environments.check_images(config, PROJECT)
    if "CONDA" in DEPLOYED:
        environments.check_conda(config)
except (configuration.ConfigProblem, people.NameProblem) as problem:
    raise WorkflowError(str(problem))

for record in [*CAST.refused.values(), *CAST.failed.values()]:
    logger.warning(f"left out: {record['refused']}")

for remark in base.remarks(config, CAST.targets, base.unteachable(config, CAST)):
    logger.warning(remark)

# Part of what a cache of artifacts knows them by (--cache); without one, new code remakes nothing.
CODE = refusals.code_digest(PROJECT) if workflow.workflow_settings.cache is not None else None

COSTS = costs.Costs(config, CAST.field_teachers, CAST.motion_teachers)
if workflow.is_main_process:
    estimate.tally(COSTS, logger)

# The chosen backend of every key.
CHOSEN = configuration.backends(config)
# Of the stages that train and render.
TRAINING = configuration.training_environment(config)
BACKENDS = configuration.backend_options(config)

# What hears the sound, and where; whether Real3D-Portrait makes motion of it, and of training frames.
EXTRACTOR = CHOSEN["speech"]
HEARING = configuration.backend(config, "speech").environment
REAL3DPORTRAIT = CHOSEN["audio_to_motion"] == "real3dportrait"

# Every render, with its metrics, that this run makes or has.
RUNS = plan.runs(config, CAST)
EXTERNAL = list(CAST.external)

VARIANTS = config["variant_definitions"]
AVATARS = [name for name, definition in VARIANTS.items() if "avatar" not in definition]
# Variants by the one whose pre-training they share; those of which one at least is refined.
PRETRAININGS = configuration.pretrainings(config)
WITH_REFINER = [
    name
    for name, shared in PRETRAININGS.items()
    if any(configuration.refined(config, variant) for variant in shared)
]
# People of whom there is a dataset folder of another program instead of a video.
IMPORTED = CAST.imported
RUN = "<results>/{id}/{variant}/{secs}s/{drive}"
CLUSTER_THREADS = 2

# What is sent to a cluster as one job, so that no stage of seconds waits in its queue alone: all
# that is light and needs one person only, and a render with its scores. Without a base sound becomes
# motion after the pre-training, which must not hold up the rest.
PREPARE = "prepare_{id}"
MOTION = PREPARE if base.folder(config) else "motion_{id}"
SCORE = "score_{id}_{variant}_{secs}s_{drive}"
RENDER = "render" if COSTS.on_gpu else SCORE  # a GPU is not kept for scores


pathvars:
    results=config["results"],
    logs=f"{config['results']}/logs",
    benchmarks=f"{config['results']}/benchmarks",


def one_of(names):
    """Regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def none_of(names):
    """Regular expression that matches all names of people.safe_name but these. A list of a thousand
    people would be searched for every file."""
    return rf"(?!(?:{one_of(names)})(?![A-Za-z0-9_-]))[A-Za-z0-9_-]+"


wildcard_constraints:
    id=none_of(people.RESERVED),
    audio=none_of([]),
    drive=one_of(["self", *CAST.audios]),
    variant=one_of([*VARIANTS, *EXTERNAL]),
    avatar=one_of(AVATARS),
    secs=r"\d+",
    span=r"\d+s|all",
    table=r"table\d",


# Snakemake gives OMP_NUM_THREADS the threads of the job. One that waits spins a few tenths of a
# millisecond, then sleeps: see d3talker/compiled.py. Compiled kernels are kept between jobs.
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
os.environ.setdefault("NUMBA_CACHE_DIR", os.path.join(PROJECT, ".cache", "numba"))
# Freed memory is kept: giving every image-sized tensor back to the system triples a training step.
# A cluster signals processes of a job before it kills them: the shell and the log outlast the stage,
# which may have a state to write (d3talker/train/run.py).
shell.prefix(
    "set -euo pipefail; export NUMBA_NUM_THREADS=$OMP_NUM_THREADS"
    " MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000;"
    " trap : TERM USR1; tee() {{ trap '' TERM USR1; exec tee \"$@\"; }}; "
)
if workflow.remote_exec:
    cluster.pass_on_signals()
    cluster.use_scratch()


def in_checkout(path):
    """A file of this project, relative to the working directory: the same in every checkout."""
    return os.path.relpath(os.path.join(PROJECT, path))


FACE_MODEL = in_checkout("resources/face_model.npz")
PAPER_TABLES = in_checkout("config/paper_tables.yaml")
MOTION_MODEL = (
    os.path.relpath(base.file(config, "motion"))
    if base.folder(config)
    else "<results>/pretrained/audio_to_motion.safetensors"
)


def command(script, env):
    """Command that runs a script of this project in environment `env`."""
    python = "python" if DEPLOYED else in_checkout(f".envs/{env}/bin/python")
    return shlex.join([python, in_checkout(script)])


def stage(name, env):
    """Command that runs `stages/<name>.py` in environment `env`."""
    return command(f"stages/{name}.py", env)


def conda_file(env):
    """Definition of environment `env` for --sdm conda. Otherwise none, which Snakemake would look
    into for every job."""
    return os.path.join(PROJECT, "envs", f"{env}.yaml") if "CONDA" in DEPLOYED else None


def image(env):
    """Image of environment `env` for --sdm apptainer."""
    return in_checkout(f"containers/{env}.sif")


def needs(rule):
    """Resources of `rule`: what was measured, scaled by clip length and attempt."""
    return COSTS.resources(rule)


def source(path):
    """A user's file as input. A name that Snakemake would read as a pattern cannot be one: such a
    file reaches its rule as parameter only, and is watched by its fingerprint."""
    return [] if re.search(r"[{}<>\n\r]", str(path)) else os.path.relpath(path)


def if_no_input(path):
    """A user's file as parameter, if its name cannot be an input; else nothing."""
    return "" if source(path) else os.path.relpath(path)


def fingerprint(path):
    """What tells that a user's file was replaced; nothing with a cache, which reads its content."""
    return None if CODE else refusals.fingerprint(path)


def target_threads(wildcards):
    """Threads of a job that works for one target alone: all cores, shared by the targets; on a
    cluster as many as were measured to be worth it."""
    if config["threads"]:
        return config["threads"]
    if workflow.remote_exec or not workflow.local_exec:
        return CLUSTER_THREADS
    return max(1, (workflow.cores or 1) // max(1, len(CAST.targets)))
