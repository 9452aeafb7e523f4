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


# The points are looked for in the frames as they are scored, so those of the clip are encoded.
rule fan_truth:
    input:
        video="<results>/{id}/video.mp4",
        ingest="<results>/{id}/ingest.json",
        fan=weights("fan"),
        s3fd=weights("s3fd"),
    output:
        "<results>/{id}/fan.npz",
    log:
        "<logs>/{id}/fan.log",
    benchmark:
        "<benchmarks>/{id}/fan.tsv"
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: target_threads
    resources:
        **needs("fan_truth"),
    params:
        stage=stage("fan", "torch"),
        files=options,
    message:
        "{wildcards.id}: find the 68 points of FAN in the true test frames"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


use rule fan_truth as fan_render with:
    input:
        video=f"{RUN}/render.mp4",
        fan=weights("fan"),
        s3fd=weights("s3fd"),
    output:
        f"{RUN}/fan.npz",
    log:
        "<logs>/{id}/{variant}/{secs}s/{drive}/fan.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/{drive}/fan.tsv"
    group:
        SCORE
    message:
        "{wildcards.id}: find the 68 points of FAN ({wildcards.variant}, {wildcards.drive})"


rule syncnet:
    input:
        render=f"{RUN}/render.mp4",
        render_json=f"{RUN}/render.json",
        audio=lambda wildcards: sound(driving_audio(wildcards)),
        syncnet=weights("syncnet"),
        s3fd=weights("s3fd"),
    output:
        f"{RUN}/syncnet.json",
    log:
        "<logs>/{id}/{variant}/{secs}s/{drive}/syncnet.log",
    benchmark:
        "<benchmarks>/{id}/{variant}/{secs}s/{drive}/syncnet.tsv"
    group:
        SCORE
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: target_threads
    resources:
        **needs("syncnet"),
    params:
        stage=stage("syncnet", "torch"),
        files=options,
    message:
        "{wildcards.id}: do lips and speech agree? ({wildcards.variant}, {wildcards.drive})"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


rule landmarks_driver:
    input:
        lambda wildcards: source(people.driver_video(CAST.audios[wildcards.audio])),
    output:
        "<results>/audio/{audio}.landmarks.npz",
    log:
        "<logs>/audio/{audio}.landmarks.log",
    benchmark:
        "<benchmarks>/audio/{audio}.landmarks.tsv"
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("landmarks_driver"),
    params:
        stage=stage("landmarks", "media"),
        video=lambda wildcards: os.path.relpath(people.driver_video(CAST.audios[wildcards.audio])),
        fingerprint=lambda wildcards: refusals.fingerprint(
            people.driver_video(CAST.audios[wildcards.audio])
        ),
    message:
        "{wildcards.audio}: find the face of who speaks it"
    # A video in which nobody is seen only leaves its score out.
    shell:
        "{params.stage} --video {params.video:q} --any-rate --max-missing 1 --out {output:q}"
        " 2>&1 | tee {log:q}"


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
        face_model=FACE_MODEL,
        alexnet=weights("alexnet"),
        fan_truth=fan_truth,
        fan_render=lambda wildcards: fan_truth(wildcards) and f"{RUN}/fan.npz",
        syncnet=if_given(f"{RUN}/syncnet.json", "syncnet", "s3fd"),
        openface_truth=openface_file("{id}.csv"),
        openface_render=openface_file("{id}.{variant}.{secs}s.{drive}.csv"),
        driver_landmarks=driver_landmarks,
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
