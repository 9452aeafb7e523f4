# What people read: tables beside the paper's numbers, and one page with everything.


localrules:
    tables,
    report,


rule tables:
    input:
        metrics=metrics_of_table,
        paper=PAPER_TABLES,
    output:
        csv=report(
            "<results>/tables/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        md="<results>/tables/{table}.md",
        tex="<results>/tables/{table}.tex",
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
        about=lambda wildcards: about(wildcards.table),
    message:
        "{wildcards.table}: beside the paper's numbers"
    shell:
        "{params.stage} --table {wildcards.table} --metrics {input.metrics:q}"
        " --paper {input.paper:q} --about {params.about:q}"
        " --out-csv {output.csv:q} --out-md {output.md:q} --out-tex {output.tex:q}"
        " 2>&1 | tee {log:q}"


rule report:
    input:
        ingest=expand("<results>/{id}/ingest.json", id=CAST.targets),
        refused=expand("<results>/{id}/refused.json", id=CAST.refused),
        failed=[failures.record_file(config["results"], name) for name in CAST.failed],
        metrics=all_metrics,
        paper=PAPER_TABLES,
        weights=weights_used(),
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
        report(
            "<results>/report.html",
            caption="../report/page.rst",
            category="Page",
            labels={"page": "everything"},
        ),
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
        benchmarks=f"{config['results']}/benchmarks",
        changed=json.dumps(configuration.changed(config), sort_keys=True),
        meanings=json.dumps(configuration.meanings(config), sort_keys=True),
        remarks=base.remarks(config, CAST.targets),
        about=about(*plan.filled(config)),
    message:
        "write the report"
    shell:
        "{params.stage} --ingest {input.ingest:q} {input.refused:q} {input.failed:q}"
        " --metrics {input.metrics:q} --paper {input.paper:q} --about {params.about:q}"
        " --benchmarks {params.benchmarks:q} --weights {input.weights:q}"
        " --changed {params.changed:q} --meanings {params.meanings:q} --remarks {params.remarks:q}"
        " --out {output:q} 2>&1 | tee {log:q}"
