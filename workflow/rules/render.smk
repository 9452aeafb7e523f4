# The talking head itself.


rule render:
    input:
        **clip(),
        poses="<results>/{id}/static/{secs}s.poses.npz",
        avatar=avatar_file("avatar.safetensors"),
        refiner=refiner_of_variant,
        drive_motion=driving_motion,
        drive_speech=lambda wildcards: f"<results>/speech/{driving_audio(wildcards)}.npz",
        drive_audio=lambda wildcards: sound(driving_audio(wildcards)),
    output:
        video=f"{RUN}/render.mp4",
        json=f"{RUN}/render.json",
    log:
        "<logs>/{id}/{variant}/{secs}s/{drive}/render.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/{drive}/render.tsv"
    wildcard_constraints:
        variant=one_of(VARIANTS),
    group:
        RENDER
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: target_threads
    resources:
        **needs("render"),
    params:
        stage=stage("render", TRAINING),
        backends=BACKENDS,
        files=options,
        how=how_rendered,
        preset=config["preset"],
    message:
        "{wildcards.id}: render {wildcards.variant}, {wildcards.secs} s, driven by {wildcards.drive}"
    shell:
        "{params.stage} {params.files} --drive {wildcards.drive}{params.how}"
        " --identity {wildcards.id} --variant {wildcards.variant} --secs {wildcards.secs}"
        " --preset {params.preset:q} {params.backends}"
        " --out-video {output.video:q} --out-json {output.json:q} 2>&1 | tee {log:q}"


rule external:
    input:
        external=lambda wildcards: source(external_video(wildcards)),
        ingest="<results>/{id}/ingest.json",
        audio=lambda wildcards: sound(wildcards.id),
    output:
        video=f"{RUN}/render.mp4",
        json=f"{RUN}/render.json",
    log:
        "<logs>/{id}/{variant}/{secs}s/{drive}/external.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/{drive}/external.tsv"
    wildcard_constraints:
        variant=one_of(EXTERNAL),
        drive="self",
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("external"),
    params:
        stage=stage("external", "torch"),
        external=lambda wildcards: os.path.relpath(external_video(wildcards)),
        fingerprint=lambda wildcards: refusals.fingerprint(external_video(wildcards)),
        method=lambda wildcards: external_video(wildcards).parent.name,
        clip=lambda wildcards: f"{config['results']}/{wildcards.id}/video.mp4",
    message:
        "{wildcards.id}: take the video of another program ({wildcards.variant})"
    shell:
        "{params.stage} --external {params.external:q} --ingest {input.ingest:q}"
        " --audio {input.audio:q} --method {params.method:q} --clip {params.clip:q}"
        " --identity {wildcards.id} --variant {wildcards.variant} --secs {wildcards.secs}"
        " --out-video {output.video:q} --out-json {output.json:q} 2>&1 | tee {log:q}"


rule compare:
    input:
        render="<results>/{id}/{variant}/{secs}s/self/render.mp4",
        render_json="<results>/{id}/{variant}/{secs}s/self/render.json",
        video="<results>/{id}/video.mp4",
    output:
        report(
            "<results>/{id}/{variant}/{secs}s/self/compare.mp4",
            caption="../report/compare.rst",
            category="Videos",
            subcategory="{id}",
            labels={"variant": "{variant}", "trained on": "{secs} s"},
        ),
    log:
        "<logs>/{id}/{variant}/{secs}s/self/compare.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/self/compare.tsv"
    group:
        "score_{id}_{variant}_{secs}s_self"
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("compare"),
    params:
        stage=stage("compare", "torch"),
        files=options,
    message:
        "{wildcards.id}: put truth, render and error map side by side ({wildcards.variant})"
    shell:
        "{params.stage} --out {output:q} {params.files} 2>&1 | tee {log:q}"
