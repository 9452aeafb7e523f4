# What all rules share: who takes part, wildcard constraints, input functions, command prefixes.

import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The folder of the project, whose workflow another one may have as a module.
PROJECT = os.path.dirname(os.path.dirname(str(workflow.current_basedir)))
sys.path.insert(0, PROJECT)

from workflow import (
    base,
    cluster,
    configuration,
    costs,
    estimate,
    failures,
    parts,
    people,
    plan,
    refusals,
)

ENVS = Path(PROJECT, ".envs")
GPU_PYTHON = ENVS / "gpu" / "bin" / "python"
TORCH_PYTHON = ENVS / "torch" / "bin" / "python"
SPEECH_PYTHON = ENVS / "speech" / "bin" / "python"
DEPLOYED = {method.name for method in workflow.deployment_settings.deployment_method}

configuration.complete(config)
# A table is made in full if it is a target; Snakemake tells its targets only when the rules are read.
TARGETS = configuration.table_targets(sys.argv[1:] if workflow.is_main_process else None)
config["tables"] = sorted({*config["tables"], *TARGETS})

try:
    configuration.check(config)
    base.check(config)
    if workflow.is_main_process and not DEPLOYED:
        configuration.check_backends(config, GPU_PYTHON, jobs_run_here=workflow.local_exec)
        if problem := parts.missing_environment(config, SPEECH_PYTHON):
            raise configuration.ConfigProblem(problem)
        configuration.check_weights(config, TORCH_PYTHON)
    if workflow.is_main_process:
        plan.check(config)
    CAST = people.gather(config)
    configuration.check_geometry(config, CAST.targets)
    if workflow.is_main_process and "APPTAINER" in DEPLOYED:
        configuration.check_images(config, PROJECT)
    if "CONDA" in DEPLOYED:
        configuration.check_conda(config)
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

# Of the stages that train and render.
TRAINING = configuration.training_environment(config)
BACKENDS = configuration.backend_options(config)

# What hears the sound, and where; whether Real3D-Portrait makes motion of it, and of training frames.
EXTRACTOR = parts.chosen(config, "speech")
HEARING = parts.PARTS["speech"][EXTRACTOR].environment
REAL3DPORTRAIT = parts.chosen(config, "audio_to_motion") == "real3dportrait"

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
# A cluster signals all processes of a job: the shell and the log outlast the stage, which may have
# a state to write (d3talker/train/run.py).
shell.prefix(
    "set -euo pipefail; export NUMBA_NUM_THREADS=$OMP_NUM_THREADS"
    " MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000;"
    " trap : TERM USR1; tee() {{ trap '' TERM USR1; exec tee \"$@\"; }}; "
)
if workflow.remote_exec:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it would end this Snakemake, and the stage
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


def of_teachers(path, teachers):
    """Input function for `path` of each of `teachers`, of whom there must be some."""

    def paths(wildcards):
        try:
            CAST.require(teachers)
        except people.NameProblem as problem:
            raise WorkflowError(str(problem))
        return expand(path, id=teachers)

        return expand(path, id=teachers)

    return paths


def clip():
    """What the training stages read of one person's clip."""
    return {
        "video": "<results>/{id}/video.mp4",
        "labels": "<results>/{id}/parsing.zip",
        "background": "<results>/{id}/background.png",
        "torso": "<results>/{id}/torso.zip",
        "track": "<results>/{id}/track.npz",
        "ingest": "<results>/{id}/ingest.json",
    }


def training_motion():
    """Facial motion of a person's own clip, for training: tracked, or of the whole sound (spec 6.6)."""
    if REAL3DPORTRAIT:
        return "<results>/speech/{id}.motion.npz"
    return "<results>/{id}/motion/tracked.npz"


def own_motion():
    """What moves the person in the own clip, for training."""
    return {"motion": training_motion(), "speech": "<results>/speech/{id}.npz"}


def options(wildcards, input):
    """Every input file as an option of the stage that is named like the input, if there is one."""
    words = []
    for name, files in input.items():
        if files:
            words.append(f"--{name.replace('_', '-')}")
            words.extend([files] if isinstance(files, str) else files)
    return shlex.join(words)


def out_options(wildcards, output):
    """Every output file as an option --out-NAME of the stage."""
    return shlex.join(word for name, file in output.items() for word in (f"--out-{name}", file))


def sound(name):
    """The 16 kHz sound of a person's clip, of a target in step with it, or a cross-driving audio."""
    if name in CAST.audios:
        return f"<results>/audio/{name}.wav"
    return f"<results>/{name}/{'audio_synced' if name in CAST.targets else 'audio'}.wav"


def alexnet(stage):
    """Input function for AlexNet's weights; nothing if the stage has no loss that needs them."""

    def path(wildcards):
        needed = configuration.needs_alexnet(config, stage, wildcards.avatar)
        return source(config["models"]["alexnet"]) if needed else []

    return path


def weights(key):
    """The file of `models.<key>`; nothing if it is not given."""
    path = parts.weights_of(config["models"].get(key))
    return source(path) if path else []


def if_given(path, *models):
    """`path`, if all these weights are given."""
    return path if all(config["models"][key] for key in models) else []


def fan_truth(wildcards):
    """FAN's points of the true test frames, for a self-driven render."""
    return if_given("<results>/{id}/fan.npz", "fan", "s3fd") if wildcards.drive == "self" else []


def openface_file(name):
    """Input function for a CSV of OpenFace; nothing if there is no such file."""

    def path(wildcards):
        if config["openface"] is None or wildcards.drive != "self":
            return []
        file = Path(config["openface"], name.format(**wildcards))
        return source(file) if file.is_file() else []

    return path


def driver_landmarks(wildcards):
    """The face of who speaks a foreign audio; nothing without a video beside it."""
    speaker = wildcards.drive in CAST.audios and people.driver_video(CAST.audios[wildcards.drive])
    return "<results>/audio/{drive}.landmarks.npz" if speaker else []


def geometry_prior(wildcards):
    """The target's geometry prior, the user's or made here; nothing if there is none."""
    if parts.chosen(config, "geometry") == "sapiens":
        return "<results>/{id}/geometry.npz"
    if config["geometry"] is None:
        return []
    return source(configuration.geometry_file(config, wildcards.id))


def speech_group(wildcards):
    """Group of jobs to which the speech features of a person belong."""
    group = MOTION if wildcards.audio in CAST.targets else PREPARE
    return group.format(id=wildcards.audio)


def driving_audio(wildcards):
    """Name of the audio that drives a render: the person's own or a foreign one."""
    return wildcards.id if wildcards.drive == "self" else wildcards.drive


def driving_motion(wildcards):
    """The facial motion that a render shows, by the variant's definition."""
    if REAL3DPORTRAIT:
        return f"<results>/speech/{driving_audio(wildcards)}.motion.npz"
    if VARIANTS[wildcards.variant].get("motion", "predicted") == "predicted":
        return f"<results>/{{id}}/motion/{{secs}}s/{driving_audio(wildcards)}.npz"
    return "<results>/{id}/motion/tracked.npz"


def avatar_of(variant):
    """The variant whose avatar `variant` renders."""
    return configuration.avatar_of(config, variant)


def avatar_file(file):
    """Input function for `file` of the avatar that a variant renders."""
    return lambda wildcards: f"<results>/{{id}}/{avatar_of(wildcards.variant)}/{{secs}}s/{file}"


def pretrained_as(avatar):
    """The variant by whose name the pre-training of an avatar goes; None without one."""
    names = (name for name, shared in PRETRAININGS.items() if avatar in shared)
    return next(names, None)


def pretrained(avatar, part):
    """The `general` or `c2f` that an avatar starts from: the base's, one of this run, or none."""
    if base.serves(config, avatar):
        return os.path.relpath(base.file(config, part))
    name = pretrained_as(avatar)
    return f"<results>/pretrained/{name}/{part}.safetensors" if name else []


def weights_used():
    """Files of weights that this run starts from or measures with, of which the page tells the sums."""
    files = {FACE_MODEL}
    if base.folder(config):
        files.add(MOTION_MODEL)
    for variant in configuration.variants(config):
        if base.serves(config, avatar_of(variant)):
            files.add(pretrained(avatar_of(variant), "general"))
            if configuration.refined(config, variant):
                files.add(pretrained(avatar_of(variant), "c2f"))
    given = [weights(key) for key in config["models"]]
    return sorted(files) + [file for file in given if file]


def pretrained_by_run():
    """The General fields that the variants of this run start from."""
    variants = set(configuration.variants(config)) - set(base.unteachable(config, CAST))
    paths = (pretrained(avatar, "general") for avatar in map(avatar_of, variants))
    return sorted({path for path in paths if path})


def refiner_of_variant(wildcards):
    """The refiner of the avatar that a variant renders; nothing for one that stays coarse."""
    if not configuration.refined(config, wildcards.variant):
        return []
    return f"<results>/{{id}}/{avatar_of(wildcards.variant)}/{{secs}}s/refiner.safetensors"


def external_video(wildcards):
    """The file that another program has made of a person."""
    return CAST.external[wildcards.variant][wildcards.id]


def how_rendered(wildcards):
    """Options of the stage render that the variant's definition asks for."""
    definition = VARIANTS[wildcards.variant]
    still = " --still" if definition.get("motion") == "none" else ""
    return f"{still} --fields {definition.get('fields', 'both')}"


def architecture(wildcards):
    """What an avatar's architecture has other than the default, as JSON."""
    return configuration.architecture(config, wildcards.avatar)


def settings(stage, variant=None):
    """The settings of a stage as JSON."""
    return configuration.settings(config, stage, variant)


def avatars(refined=False):
    """Who trains which avatar on how much: (identity, avatar, seconds) of every run of ours; of
    those alone whose frames are refined."""
    ours = [run for run in RUNS if run.variant not in EXTERNAL]
    return sorted(
        {
            (run.identity, avatar_of(run.variant), run.secs)
            for run in ours
            if not refined or configuration.refined(config, run.variant)
        }
    )


def of_avatars(file, refined=False):
    """`file` of every avatar of every target; of those alone whose frames are refined."""
    return [f"<results>/{id}/{avatar}/{secs}s/{file}" for id, avatar, secs in avatars(refined)]


def of_runs(file, only_self=False):
    """`file` of every run."""
    return [
        f"<results>/{run.folder}/{file}" for run in RUNS if run.drive == "self" or not only_self
    ]


def need_target():
    """Stop if there is nobody to make an avatar of."""
    try:
        people.require_target(config)
    except people.NameProblem as problem:
        raise WorkflowError(str(problem))


def all_metrics(wildcards):
    """Input function for metrics.json of every run; there must be a target."""
    need_target()
    return of_runs("metrics.json")


def metrics_of_table(wildcards):
    """Input function for metrics.json of the runs that a table shows; there must be a target."""
    need_target()
    runs = plan.shown(config, CAST, wildcards.table)
    return [f"<results>/{run.folder}/metrics.json" for run in runs]


def about(*tables):
    """What a reader of tables has to know and their runs do not tell, as JSON."""
    return json.dumps(plan.about(config, CAST, *tables), sort_keys=True)
