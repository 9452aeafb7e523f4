# From the user's files to clips in which the head is found, cut out and tracked.


localrules:
    ingest_audio,
    speech_of_audio,


rule ingest:
    input:
        lambda wildcards: source(CAST.video(wildcards.id)),
    output:
        video="<results>/{id}/video.mp4",
        audio="<results>/{id}/audio.wav",
        json="<results>/{id}/ingest.json",
    log:
        "<logs>/{id}/ingest.log",
    benchmark:
        "<benchmarks>/{id}/ingest.tsv"
    wildcard_constraints:
        id=none_of([*people.RESERVED, *IMPORTED]),
    group:
        PREPARE
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("ingest"),
    params:
        stage=stage("ingest", "media"),
        # With a cache files count by their content, wherever they lie: no path, no date.
        video=lambda wildcards: if_no_input(CAST.video(wildcards.id)),
        fingerprint=lambda wildcards: fingerprint(CAST.video(wildcards.id)),
        refuse=command("workflow/scripts/refuse.py", "media"),
        code=CODE,
        size=config["size"],
        options=lambda wildcards: people.ingest_options(config, wildcards.id),
    message:
        "{wildcards.id}: cut the clip around the head"
    # A video that cannot be used is noted, so that the next run goes on without it.
    shell:
        "video={input:q}{params.video:q};"
        ' {params.stage} --video "$video" --identity {wildcards.id} --size {params.size}'
        " {params.options} --out-video {output.video:q} --out-audio {output.audio:q} --out-json {output.json:q}"
        " 2>&1 | tee {log:q} || {{ status=$?;"
        ' {params.refuse} --video "$video" --identity {wildcards.id} --log {log:q}'
        " --options={params.options:q}"
        ' --status $status --out "$(dirname {output.json:q})/refused.json"; exit $status; }}'


rule ingest_audio:
    input:
        lambda wildcards: source(CAST.audios[wildcards.audio]),
    output:
        "<results>/audio/{audio}.wav",
    log:
        "<logs>/audio/{audio}.ingest.log",
    benchmark:
        "<benchmarks>/audio/{audio}.ingest.tsv"
    wildcard_constraints:
        audio=one_of(CAST.audios),
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("ingest_audio"),
    params:
        stage=stage("ingest_audio", "media"),
        audio=lambda wildcards: os.path.relpath(CAST.audios[wildcards.audio]),
        fingerprint=lambda wildcards: fingerprint(CAST.audios[wildcards.audio]),
    message:
        "{wildcards.audio}: convert the audio"
    shell:
        "{params.stage} --audio {params.audio:q} --out {output:q} 2>&1 | tee {log:q}"


rule landmarks:
    input:
        "<results>/{id}/video.mp4",
    output:
        "<results>/{id}/landmarks.npz",
    log:
        "<logs>/{id}/landmarks.log",
    benchmark:
        "<benchmarks>/{id}/landmarks.tsv"
    cache: CODE is not None
    group:
        PREPARE
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("landmarks"),
    params:
        stage=stage("landmarks", "media"),
        code=CODE,
    message:
        "{wildcards.id}: find the points of the face"
    shell:
        "{params.stage} --video {input:q} --out {output:q} 2>&1 | tee {log:q}"


rule bisenet:
    input:
        video="<results>/{id}/video.mp4",
        bisenet=weights("bisenet"),
        easyportrait=if_backend("teeth", "easyportrait", weights("easyportrait")),
    output:
        "<results>/{id}/bisenet.zip",
    log:
        "<logs>/{id}/bisenet.log",
    benchmark:
        "<benchmarks>/{id}/bisenet.tsv"
    cache: CODE is not None
    group:
        PREPARE
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: target_threads
    resources:
        **needs("bisenet"),
    params:
        stage=stage("bisenet", "torch"),
        files=options,
        code=CODE,
    message:
        "{wildcards.id}: label every pixel with BiSeNet"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


rule parse:
    input:
        video="<results>/{id}/video.mp4",
        landmarks="<results>/{id}/landmarks.npz",
        labels=if_backend("parsing", "bisenet", "<results>/{id}/bisenet.zip"),
    output:
        labels="<results>/{id}/parsing.zip",
        background="<results>/{id}/background.png",
        torso="<results>/{id}/torso.zip",
    log:
        "<logs>/{id}/parse.log",
    benchmark:
        "<benchmarks>/{id}/parse.tsv"
    wildcard_constraints:
        id=none_of([*people.RESERVED, *IMPORTED]),
    cache: CODE is not None
    group:
        PREPARE
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("parse"),
    params:
        stage=stage("parse", "media"),
        files=options,
        code=CODE,
    message:
        "{wildcards.id}: tell head, torso and background apart"
    shell:
        "{params.stage} {params.files}"
        " --out-labels {output.labels:q} --out-background {output.background:q} --out-torso {output.torso:q} 2>&1 | tee {log:q}"


rule landmarks_fan:
    input:
        video="<results>/{id}/video.mp4",
        fan=weights("fan"),
        s3fd=weights("s3fd"),
    output:
        "<results>/{id}/landmarks_fan.npz",
    log:
        "<logs>/{id}/landmarks_fan.log",
    benchmark:
        "<benchmarks>/{id}/landmarks_fan.tsv"
    cache: CODE is not None
    group:
        PREPARE
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: target_threads
    resources:
        **needs("landmarks_fan"),
    params:
        stage=stage("fan", "torch"),
        files=options,
        code=CODE,
    message:
        "{wildcards.id}: find the 68 points of FAN"
    shell:
        "{params.stage} {params.files} --face first --out {output:q} 2>&1 | tee {log:q}"


rule track:
    input:
        landmarks="<results>/{id}/landmarks.npz",
        face_model=FACE_MODEL,
        ingest="<results>/{id}/ingest.json",
        video="<results>/{id}/video.mp4",  # for the picture only
        cameras=if_imported("<results>/{id}/cameras.npz"),
        openface=clip_openface,
        fan_landmarks=unless_imported(
            if_backend("landmarks", "fan", "<results>/{id}/landmarks_fan.npz")
        ),
        bfm=unless_imported(if_backend("face_model", "bfm", weights("bfm"))),
    output:
        track="<results>/{id}/track.npz",
        picture=report(
            "<results>/{id}/track.png",
            caption="../report/track.rst",
            category="Tracked faces",
            labels={"person": "{id}"},
        ),
    log:
        "<logs>/{id}/track.log",
    benchmark:
        "<benchmarks>/{id}/track.tsv"
    cache: CODE is not None
    group:
        PREPARE
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("track"),
    params:
        stage=stage("track", "torch"),
        files=options,
        code=CODE,
    message:
        "{wildcards.id}: track head pose and expression"
    shell:
        "{params.stage} {params.files}"
        " --out {output.track:q} --out-picture {output.picture:q} 2>&1 | tee {log:q}"


rule speech:
    input:
        audio=lambda wildcards: sound(wildcards.audio),
        weights=[] if EXTRACTOR == "logmel" else weights(EXTRACTOR),
    output:
        "<results>/speech/{audio}.npz",
    log:
        "<logs>/speech/{audio}.log",
    benchmark:
        "<benchmarks>/speech/{audio}.tsv"
    wildcard_constraints:
        audio=none_of([*people.RESERVED, *CAST.audios]),
    group:
        speech_group
    conda:
        conda_file(HEARING)
    container:
        image(HEARING)
    threads: 1
    resources:
        **needs("speech"),
    params:
        stage=stage("speech", HEARING),
        files=options,
        extractor=EXTRACTOR,
    message:
        "{wildcards.audio}: extract speech features"
    shell:
        "{params.stage} {params.files} --extractor {params.extractor} --out {output:q}"
        " 2>&1 | tee {log:q}"


# Two seconds each, and few: no cluster need see them.
use rule speech as speech_of_audio with:
    output:
        "<results>/speech/{audio}.npz",
    wildcard_constraints:
        audio=one_of(CAST.audios),
    group:
        None
    resources:
        **needs("speech_of_audio"),


# Depth and normals by a network for single pictures; only with `backends.geometry: sapiens`.
rule sapiens:
    input:
        video="<results>/{id}/video.mp4",
        labels="<results>/{id}/parsing.zip",
        background="<results>/{id}/background.png",
        ingest="<results>/{id}/ingest.json",
        sapiens_depth=weights("sapiens_depth"),
        sapiens_normal=weights("sapiens_normal"),
    output:
        "<results>/{id}/geometry.npz",
    log:
        "<logs>/{id}/sapiens.log",
    benchmark:
        "<benchmarks>/{id}/sapiens.tsv"
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: target_threads
    resources:
        **needs("sapiens"),
    params:
        stage=stage("sapiens", TRAINING),
        files=options,
        depth=config["sha256"].get("sapiens_depth"),
        normal=config["sha256"].get("sapiens_normal"),
    message:
        "{wildcards.id}: see depth and normals"
    shell:
        "{params.stage} {params.files} --sha256-depth {params.depth}"
        " --sha256-normal {params.normal} --out {output:q} 2>&1 | tee {log:q}"


# Snakemake caches no rule that measures its jobs, of which a cached one is none.
if CODE:
    for cached in (
        rules.landmarks,
        rules.bisenet,
        rules.parse,
        rules.landmarks_fan,
        rules.track,
    ):
        cached.rule._benchmark = None
