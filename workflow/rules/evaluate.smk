# Scores of a render against the truth.


rule landmarks_render:
    input:
        f"{RUN}/render.mp4",
    output:
        f"{RUN}/landmarks.npz",
    log:
        "<logs>/{id}/{variant}/{secs}s/{drive}/landmarks.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/{drive}/landmarks.tsv"
    group:
        SCORE
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("landmarks_render"),
    params:
        stage=stage("landmarks", "media"),
    message:
        "{wildcards.id}: find the face in the render ({wildcards.variant}, {wildcards.drive})"
    # A bad avatar may have no face in any frame; that is a result, not an error.
    shell:
        "{params.stage} --video {input:q} --max-missing 1 --out {output:q} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        render=f"{RUN}/render.mp4",
        render_json=f"{RUN}/render.json",
        render_landmarks=f"{RUN}/landmarks.npz",
        video="<results>/{id}/video.mp4",
        landmarks="<results>/{id}/landmarks.npz",
        labels="<results>/{id}/parsing.zip",
        ingest="<results>/{id}/ingest.json",
        audio=lambda wildcards: sound(driving_audio(wildcards)),
    output:
        f"{RUN}/metrics.json",
    log:
        "<logs>/{id}/{variant}/{secs}s/{drive}/evaluate.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/{drive}/evaluate.tsv"
    group:
        SCORE
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("evaluate"),
    params:
        stage=stage("evaluate", "torch"),
        files=options,
        preset=config["preset"],
    message:
        "{wildcards.id}: score {wildcards.variant}, {wildcards.secs} s, driven by {wildcards.drive}"
    shell:
        "{params.stage} {params.files} --drive {wildcards.drive} --identity {wildcards.id}"
        " --variant {wildcards.variant} --secs {wildcards.secs} --preset {params.preset:q}"
        " --out {output:q} 2>&1 | tee {log:q}"
