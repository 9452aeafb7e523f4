# What people read: tables beside the paper's numbers, and one page with everything.


localrules:
    tables,
    report,


rule tables:
    input:
        metrics=all_metrics,
        paper=PAPER_TABLES,
    output:
        csv="<results>/tables/{table}.csv",
        md="<results>/tables/{table}.md",
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<benchmarks>/tables/{table}.tsv"
    conda:
        conda_file("workflow")
    container:
        image("workflow")
    threads: 1
    resources:
        **needs("tables"),
    params:
        stage=stage("tables", "workflow"),
    message:
        "{wildcards.table}: beside the paper's numbers"
    shell:
        "{params.stage} --table {wildcards.table} --metrics {input.metrics:q}"
        " --paper {input.paper:q} --out-csv {output.csv:q} --out-md {output.md:q}"
        " 2>&1 | tee {log:q}"


rule report:
    input:
        ingest=expand("<results>/{id}/ingest.json", id=CAST.targets),
        refused=expand("<results>/{id}/refused.json", id=CAST.refused),
        metrics=all_metrics,
        paper=PAPER_TABLES,
        # The page shows these, which lie beside the metrics and the clips.
        beside=[
            *of_runs("render.json"),
            *of_runs("render.mp4"),
            *of_runs("landmarks.npz"),
            *of_runs("compare.mp4", only_self=True),
            *of_avatars("avatar.curves.csv"),
            *of_avatars("refiner.curves.csv", refined=True),
            *expand("<results>/{id}/landmarks.npz", id=CAST.targets),
            *expand("<results>/{id}/track.png", id=CAST.targets),
            *expand("<results>/{id}/sync.json", id=CAST.targets),
        ],
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        conda_file("workflow")
    container:
        image("workflow")
    threads: 1
    resources:
        **needs("report"),
    params:
        stage=stage("report", "workflow"),
    message:
        "write the report"
    shell:
        "{params.stage} --ingest {input.ingest:q} {input.refused:q} --metrics {input.metrics:q}"
        " --paper {input.paper:q} --out {output:q} 2>&1 | tee {log:q}"
