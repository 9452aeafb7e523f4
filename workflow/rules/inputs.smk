# What rules read: input functions, files of weights, parts that chosen backends add, lists of avatars
# and runs. common.smk, which is included before, has the names that they use.


def of_teachers(path, teachers):
    """Input function for `path` of each of `teachers`, of whom there must be some."""

    def paths(wildcards):
        try:
            CAST.require(teachers)
        except people.NameProblem as problem:
            raise WorkflowError(str(problem))
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
        return weights("alexnet") if needed else []

    return path


def weights(key):
    """The file of `models.<key>`, which may have to be fetched; nothing if it is not given."""
    path = models.file(config, key)
    return source(path) if path else []


def if_given(path, *keys):
    """`path`, if all these weights are given."""
    return path if all(config["models"][key] for key in keys) else []


def if_imported(path):
    """Input function for `path` of people who come as a dataset folder; nothing of others."""
    return (lambda wildcards: path if wildcards.id in IMPORTED else []) if IMPORTED else []


def unless_imported(path):
    """Input function for `path` of people who come as a video; nothing of others."""
    return (lambda wildcards: [] if wildcards.id in IMPORTED else path) if IMPORTED else path


def if_backend(key, name, path):
    """`path`, if this backend is chosen."""
    return path if CHOSEN[key] == name else []


def clip_openface(wildcards):
    """OpenFace's action units of a person's clip; nothing if they are measured otherwise."""
    if CHOSEN["aus"] != "openface":
        return []
    return source(configuration.openface_file(config, wildcards.id))


def fan_truth(wildcards):
    """FAN's points of the true test frames, for a self-driven render."""
    return if_given("<results>/{id}/fan.npz", "fan", "s3fd") if wildcards.drive == "self" else []


# Keys of `models` by the files that this run may have to fetch. One that is there already is no output
# of a rule: Snakemake would remove it to make it anew.
TO_FETCH = {source(path): key for key, path in models.to_fetch(config).items()}


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
    if CHOSEN["geometry"] == "sapiens":
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
    given = map(source, models.files(config).values())
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
