# Files of weights of others, where the configuration says `fetch` (docs/models.md).


localrules:
    fetch_model,


# Nodes of a cluster often have no network: it runs where Snakemake does. What has come of a file is
# kept beside it, so that a run which was stopped goes on there.
rule fetch_model:
    output:
        os.path.join(os.path.relpath(config["models"]["folder"]), "{file}"),
    log:
        "<logs>/models/{file}.log",
    wildcard_constraints:
        file=one_of(os.path.basename(path) for path in TO_FETCH),
    conda:
        conda_file("workflow")
    container:
        image("workflow")
    threads: 1
    resources:
        **needs("fetch_model"),
    params:
        stage=stage("fetch_model", "workflow"),
        key=lambda wildcards, output: TO_FETCH[output[0]],
        mirror=shlex.join(["--mirror", mirror] if (mirror := config["models"]["mirror"]) else []),
    message:
        "{wildcards.file}: fetch the weights"
    shell:
        "{params.stage} --key {params.key} {params.mirror} --out {output:q} 2>&1 | tee {log:q}"
