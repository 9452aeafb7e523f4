# Dataset folders of other programs, in the place of reading a video (docs/export.md).


rule import_dataset:
    output:
        video="<results>/{id}/video.mp4",
        audio="<results>/{id}/audio.wav",
        cameras="<results>/{id}/cameras.npz",
        json="<results>/{id}/ingest.json",
    log:
        "<logs>/{id}/import_dataset.log",
    benchmark:
        "<benchmarks>/{id}/import_dataset.tsv"
    wildcard_constraints:
        id=one_of(IMPORTED),
    group:
        PREPARE
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("import_dataset"),
    params:
        stage=stage("import_dataset", "media"),
        # No input: other programs write into such a folder. What is read of it is in the fingerprint.
        dataset=lambda wildcards: os.path.relpath(CAST.video(wildcards.id)),
        fingerprint=lambda wildcards: refusals.fingerprint(CAST.video(wildcards.id)),
        refuse=command("workflow/scripts/refuse.py", "media"),
        code=CODE,
        options=lambda wildcards: people.import_options(config, wildcards.id),
        outs=out_options,
    message:
        "{wildcards.id}: import the dataset folder"
    shell:
        "{params.stage} --dataset {params.dataset:q} --identity {wildcards.id} {params.options}"
        " {params.outs} 2>&1 | tee {log:q} || {{ status=$?;"
        " {params.refuse} --video {params.dataset:q} --identity {wildcards.id} --log {log:q}"
        " --options={params.options:q}"
        ' --status $status --out "$(dirname {output.json:q})/refused.json"; exit $status; }}'


rule import_masks:
    input:
        landmarks="<results>/{id}/landmarks.npz",
        json="<results>/{id}/ingest.json",
    output:
        labels="<results>/{id}/parsing.zip",
        background="<results>/{id}/background.png",
        torso="<results>/{id}/torso.zip",
    log:
        "<logs>/{id}/import_masks.log",
    benchmark:
        "<benchmarks>/{id}/import_masks.tsv"
    wildcard_constraints:
        id=one_of(IMPORTED),
    group:
        PREPARE
    conda:
        conda_file("media")
    container:
        image("media")
    threads: 1
    resources:
        **needs("import_masks"),
    params:
        stage=stage("import_masks", "media"),
        dataset=lambda wildcards: os.path.relpath(CAST.video(wildcards.id)),
        code=CODE,
        outs=out_options,
    message:
        "{wildcards.id}: take head, torso and background from the dataset folder"
    shell:
        "{params.stage} --dataset {params.dataset:q} --landmarks {input.landmarks:q} {params.outs}"
        " 2>&1 | tee {log:q}"
