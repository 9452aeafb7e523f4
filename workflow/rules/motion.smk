# From sound to facial motion: the network, its tuning to a target, and what it predicts.


rule pretrain_motion:
    input:
        audio=of_teachers("<results>/{id}/audio.wav", CAST.motion_teachers),
        track=of_teachers("<results>/{id}/track.npz", CAST.motion_teachers),
        face_model=FACE_MODEL,
    output:
        "<results>/pretrained/audio_to_motion.safetensors",
    log:
        "<logs>/pretrained/audio_to_motion.log",
    benchmark:
        "<benchmarks>/pretrained/audio_to_motion.tsv"
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("pretrain_motion"),
    params:
        stage=stage("pretrain_motion", "torch"),
        files=options,
        names=CAST.motion_teachers,
        settings=settings("pretrain_motion"),
        seed=config["seed"],
    message:
        "learn facial motion from sound"
    shell:
        "{params.stage} {params.files} --name {params.names:q} --settings {params.settings:q}"
        " --seed {params.seed} --out {output:q} 2>&1 | tee {log:q}"


rule sync:
    input:
        model=MOTION_MODEL,
        audio="<results>/{id}/audio.wav",
        track="<results>/{id}/track.npz",
        ingest="<results>/{id}/ingest.json",
    output:
        audio="<results>/{id}/audio_synced.wav",
        json="<results>/{id}/sync.json",
    log:
        "<logs>/{id}/sync.log",
    benchmark:
        "<benchmarks>/{id}/sync.tsv"
    group:
        MOTION
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("sync"),
    params:
        stage=stage("sync", "torch"),
        files=options,
        settings=json.dumps(config["sync"], sort_keys=True),
    message:
        "{wildcards.id}: are sound and picture in step?"
    shell:
        "{params.stage} {params.files} --settings {params.settings:q}"
        " --out-audio {output.audio:q} --out-json {output.json:q} 2>&1 | tee {log:q}"


rule tune_motion:
    input:
        model=MOTION_MODEL,
        audio="<results>/{id}/audio_synced.wav",
        track="<results>/{id}/track.npz",
        ingest="<results>/{id}/ingest.json",
    output:
        "<results>/{id}/motion/{secs}s/audio_to_motion.safetensors",
    log:
        "<logs>/{id}/{secs}s/tune_motion.log",
    benchmark:
        "<benchmarks>/{id}/{secs}s/tune_motion.tsv"
    group:
        MOTION
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("tune_motion"),
    params:
        stage=stage("tune_motion", "torch"),
        files=options,
        settings=settings("tune_motion"),
        seed=config["seed"],
    message:
        "{wildcards.id}: tune facial motion to {wildcards.secs} s of the person"
    shell:
        "{params.stage} {params.files} --secs {wildcards.secs} --settings {params.settings:q}"
        " --seed {params.seed} --out {output:q} 2>&1 | tee {log:q}"


rule motion_predicted:
    input:
        model="<results>/{id}/motion/{secs}s/audio_to_motion.safetensors",
        audio=lambda wildcards: sound(wildcards.audio),
        face_model=FACE_MODEL,
    output:
        "<results>/{id}/motion/{secs}s/{audio}.npz",
    log:
        "<logs>/{id}/{secs}s/motion.{audio}.log",
    benchmark:
        "<benchmarks>/{id}/{secs}s/motion.{audio}.tsv"
    group:
        MOTION
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("motion_predicted"),
    params:
        stage=stage("motion", "torch"),
        files=options,
    message:
        "{wildcards.id}: predict facial motion from the sound of {wildcards.audio}"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


rule motion_tracked:
    input:
        track="<results>/{id}/track.npz",
        face_model=FACE_MODEL,
    output:
        "<results>/{id}/motion/tracked.npz",
    log:
        "<logs>/{id}/motion_tracked.log",
    benchmark:
        "<benchmarks>/{id}/motion_tracked.tsv"
    group:
        PREPARE
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("motion_tracked"),
    params:
        stage=stage("motion", "torch"),
        files=options,
    message:
        "{wildcards.id}: draw the tracked facial motion"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


# The two of `backends.audio_to_motion: real3dportrait`. Its motion is nobody's in particular: one file
# serves every avatar and every training length.
rule voice:
    input:
        audio=lambda wildcards: sound(wildcards.audio),
        hubert=weights("hubert"),
    output:
        "<results>/speech/{audio}.voice.npz",
    log:
        "<logs>/speech/{audio}.voice.log",
    benchmark:
        "<benchmarks>/speech/{audio}.voice.tsv"
    group:
        speech_group
    conda:
        conda_file("speech")
    container:
        image("speech")
    threads: 1
    resources:
        **needs("voice"),
    params:
        stage=stage("voice", "speech"),
        files=options,
    message:
        "{wildcards.audio}: hear sounds and pitch of the voice"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


rule motion_real3dportrait:
    input:
        voice="<results>/speech/{audio}.voice.npz",
        audio2secc_vae=weights("audio2secc_vae"),
        bfm_front=weights("bfm_front"),
    output:
        "<results>/speech/{audio}.motion.npz",
    log:
        "<logs>/speech/{audio}.motion.log",
    benchmark:
        "<benchmarks>/speech/{audio}.motion.tsv"
    group:
        speech_group
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("motion_real3dportrait"),
    params:
        stage=stage("motion_real3dportrait", "torch"),
        files=options,
        settings=settings("real3dportrait"),
        seed=config["seed"],
    message:
        "{wildcards.audio}: predict facial motion from the sound (Real3D-Portrait)"
    shell:
        "{params.stage} {params.files} --settings {params.settings:q} --seed {params.seed}"
        " --out {output:q} 2>&1 | tee {log:q}"
