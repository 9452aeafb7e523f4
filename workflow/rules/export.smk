# Our data in the formats of other programs.


rule export_dataset:
    input:
        **clip(),
        landmarks="<results>/{id}/landmarks.npz",
        fan_landmarks=if_backend("landmarks", "fan", "<results>/{id}/landmarks_fan.npz"),
        audio=lambda wildcards: sound(wildcards.id),
        speech="<results>/speech/{id}.npz",
        geometry=geometry_prior,
    output:
        directory("<results>/export/{id}"),
    log:
        "<logs>/{id}/export_dataset.log",
    benchmark:
        "<benchmarks>/{id}/export_dataset.tsv"
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("export_dataset"),
    params:
        stage=stage("export_dataset", "torch"),
        files=options,
    message:
        "{wildcards.id}: write the dataset folder of other programs"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"


rule export_ply:
    input:
        avatar="<results>/{id}/{avatar}/{secs}s/avatar.safetensors",
    output:
        "<results>/{id}/{avatar}/{secs}s/avatar.ply",
    log:
        "<logs>/{id}/{avatar}/{secs}s/export_ply.log",
    benchmark:
        "<benchmarks>/{id}/{avatar}/{secs}s/export_ply.tsv"
    conda:
        conda_file("torch")
    container:
        image("torch")
    threads: 1
    resources:
        **needs("export_ply"),
    params:
        stage=stage("export_ply", "torch"),
        files=options,
    message:
        "{wildcards.id}: write the head at rest as .ply ({wildcards.avatar}, {wildcards.secs} s)"
    shell:
        "{params.stage} {params.files} --out {output:q} 2>&1 | tee {log:q}"
