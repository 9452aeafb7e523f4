# Static heads, what all people share, and the target's avatar and refiner. Jobs of which there are
# many at once have one thread each: that uses the cores best.


rule fit_static:
    input:
        **clip(),
        face_model=FACE_MODEL,
    output:
        head="<results>/{id}/static/{span}.safetensors",
        curves="<results>/{id}/static/{span}.curves.csv",
    log:
        "<logs>/{id}/fit_static.{span}.log",
    benchmark:
        "<benchmarks>/{id}/fit_static.{span}.tsv"
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: 1
    resources:
        **needs("fit_static"),
    params:
        stage=stage("fit_static", TRAINING),
        backends=BACKENDS,
        files=options,
        secs=lambda wildcards: wildcards.span.removesuffix("s"),
        settings=settings("fit_static"),
        seed=config["seed"],
    message:
        "{wildcards.id}: fit the static head ({wildcards.span})"
    shell:
        "{params.stage} {params.files} --secs {params.secs} --settings {params.settings:q}"
        " {params.backends} --seed {params.seed}"
        " --out {output.head:q} --out-curves {output.curves:q} 2>&1 | tee {log:q}"


rule refine_pose:
    input:
        **clip(),
        static="<results>/{id}/static/{secs}s.safetensors",
    output:
        "<results>/{id}/static/{secs}s.poses.npz",
    log:
        "<logs>/{id}/refine_pose.{secs}s.log",
    benchmark:
        "<benchmarks>/{id}/refine_pose.{secs}s.tsv"
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: 1
    resources:
        **needs("refine_pose"),
    params:
        stage=stage("refine_pose", TRAINING),
        backends=BACKENDS,
        files=options,
        settings=settings("refine_pose"),
    message:
        "{wildcards.id}: refine the head poses by the picture"
    shell:
        "{params.stage} {params.files} --settings {params.settings:q} {params.backends}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule pretrain_fields:
    input:
        **{name: of_teachers(path, CAST.field_teachers) for name, path in clip().items()},
        static=of_teachers("<results>/{id}/static/all.safetensors", CAST.field_teachers),
        motion=of_teachers(training_motion(), CAST.field_teachers),
        speech=of_teachers("<results>/speech/{id}.npz", CAST.field_teachers),
        alexnet=alexnet("pretrain_c2f"),
    output:
        general="<results>/pretrained/{avatar}/general.safetensors",
        c2f="<results>/pretrained/{avatar}/c2f.safetensors",
        curves="<results>/pretrained/{avatar}/pretrain.curves.csv",
    log:
        "<logs>/pretrained/{avatar}.log",
    benchmark:
        "<benchmarks>/pretrained/{avatar}.tsv"
    wildcard_constraints:
        avatar=one_of(WITH_REFINER),
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: 1
    resources:
        **needs("pretrain_fields"),
    params:
        stage=stage("pretrain", TRAINING),
        backends=BACKENDS,
        files=options,
        outs=out_options,
        architecture=architecture,
        settings=lambda wildcards: settings("pretrain", wildcards.avatar),
        refiner=config["refiner"],
        refiner_settings=lambda wildcards: settings("pretrain_c2f", wildcards.avatar),
        seed=config["seed"],
    message:
        "{wildcards.avatar}: pre-train the General field and the refiner"
    shell:
        "{params.stage} {params.files} --settings {params.settings:q} --refiner {params.refiner}"
        " --refiner-settings {params.refiner_settings:q} {params.backends} --seed {params.seed}"
        " --architecture {params.architecture:q} {params.outs} 2>&1 | tee {log:q}"


use rule pretrain_fields as pretrain_fields_alone with:
    output:
        general="<results>/pretrained/{avatar}/general.safetensors",
        curves="<results>/pretrained/{avatar}/pretrain.curves.csv",
    wildcard_constraints:
        avatar=one_of([name for name in PRETRAININGS if name not in WITH_REFINER]),
    message:
        "{wildcards.avatar}: pre-train the General field"


rule adapt:
    input:
        **clip(),
        **own_motion(),
        static="<results>/{id}/static/{secs}s.safetensors",
        poses="<results>/{id}/static/{secs}s.poses.npz",
        general=lambda wildcards: pretrained(wildcards.avatar, "general"),
        geometry=geometry_prior,
        alexnet=alexnet("adapt"),
    output:
        avatar="<results>/{id}/{avatar}/{secs}s/avatar.safetensors",
        curves="<results>/{id}/{avatar}/{secs}s/avatar.curves.csv",
    log:
        "<logs>/{id}/{avatar}/{secs}s/adapt.log",
    benchmark:
        "<benchmarks>/{id}/{avatar}/{secs}s/adapt.tsv"
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: target_threads
    resources:
        **needs("adapt"),
    params:
        stage=stage("adapt", TRAINING),
        backends=BACKENDS,
        files=options,
        architecture=architecture,
        settings=lambda wildcards: settings("adapt", wildcards.avatar),
        seed=config["seed"],
    message:
        "{wildcards.id}: train the avatar ({wildcards.avatar}, {wildcards.secs} s)"
    shell:
        "{params.stage} {params.files} --secs {wildcards.secs} --settings {params.settings:q}"
        " --architecture {params.architecture:q} {params.backends} --seed {params.seed}"
        " --out {output.avatar:q} --out-curves {output.curves:q} 2>&1 | tee {log:q}"


rule finetune_c2f:
    input:
        **clip(),
        **own_motion(),
        poses="<results>/{id}/static/{secs}s.poses.npz",
        avatar="<results>/{id}/{avatar}/{secs}s/avatar.safetensors",
        c2f=lambda wildcards: pretrained(wildcards.avatar, "c2f"),
        alexnet=alexnet("finetune_c2f"),
    output:
        refiner="<results>/{id}/{avatar}/{secs}s/refiner.safetensors",
        curves="<results>/{id}/{avatar}/{secs}s/refiner.curves.csv",
    log:
        "<logs>/{id}/{avatar}/{secs}s/finetune_c2f.log",
    benchmark:
        "<benchmarks>/{id}/{avatar}/{secs}s/finetune_c2f.tsv"
    conda:
        conda_file(TRAINING)
    container:
        image(TRAINING)
    threads: target_threads
    resources:
        **needs("finetune_c2f"),
    params:
        stage=stage("finetune_c2f", TRAINING),
        backends=BACKENDS,
        files=options,
        settings=lambda wildcards: settings("finetune_c2f", wildcards.avatar),
        seed=config["seed"],
    message:
        "{wildcards.id}: train the refiner ({wildcards.avatar}, {wildcards.secs} s)"
    shell:
        "{params.stage} {params.files} --secs {wildcards.secs} --settings {params.settings:q}"
        " {params.backends} --seed {params.seed}"
        " --out {output.refiner:q} --out-curves {output.curves:q} 2>&1 | tee {log:q}"
