# The base that later runs start from (pretrain.base), made of what this run has pre-trained.


localrules:
    base,


# With a base its files are inputs, and no rule may make them.
if not base.folder(config):

    rule make_base:
        input:
            motion="<results>/pretrained/audio_to_motion.safetensors",
            general=f"<results>/pretrained/{base.VARIANT}/general.safetensors",
            c2f=f"<results>/pretrained/{base.VARIANT}/c2f.safetensors",
            face_model=FACE_MODEL,
        output:
            # They stay as they are if the new ones turn out to be of no use.
            **{
                f"out_{part}": update(in_checkout(f"resources/{name}"))
                for part, name in base.FILES.items()
            },
        log:
            "<logs>/base.log",
        benchmark:
            "<benchmarks>/base.tsv"
        conda:
            conda_file("torch")
        container:
            image("torch")
        threads: 1
        resources:
            **needs("make_base"),
        params:
            stage=stage("make_base", "torch"),
            files=options,
            preset=config["preset"],
            size=config["size"],
            parts=" ".join(
                f"--{key.replace('_', '-')} {CHOSEN[key]}" for key in ("speech", "audio_to_motion")
            ),
        message:
            "write the base into resources/"
        shell:
            "{params.stage} {params.files} --preset {params.preset:q} --size {params.size}"
            " {params.parts}"
            " --out-motion {output.out_motion:q} --out-general {output.out_general:q}"
            " --out-c2f {output.out_c2f:q} 2>&1 | tee {log:q}"

    rule base:
        input:
            rules.make_base.output,
