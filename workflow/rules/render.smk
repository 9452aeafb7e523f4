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


rule compare:
    input:
        render="<results>/{id}/{variant}/{secs}s/self/render.mp4",
        render_json="<results>/{id}/{variant}/{secs}s/self/render.json",
        video="<results>/{id}/video.mp4",
    output:
        "<results>/{id}/{variant}/{secs}s/self/compare.mp4",
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
        "{wildcards.id}: put truth and render side by side ({wildcards.variant})"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"
