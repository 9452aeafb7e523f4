"""One video in, a talking head out. docs/architecture.md follows a video through the rules."""

from snakemake.utils import min_version

min_version("9.14")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/import.smk"
include: "workflow/rules/motion.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/base.smk"
include: "workflow/rules/export.smk"


localrules:
    all,
    ingest_all,
    prepare,
    pretrain,
    table1,
    table2,
    table3,
    table4,
    export,
    export_datasets,


rule all:
    default_target: True
    input:
        "<results>/report.html",
        expand("<results>/tables/{table}.md", table=plan.filled(config)),


rule ingest_all:
    input:
        expand("<results>/{id}/ingest.json", id=CAST.everybody),


rule prepare:
    input:
        expand("<results>/{id}/track.npz", id=CAST.everybody),
        expand("<results>/{id}/torso.zip", id=[*CAST.targets, *CAST.field_teachers]),
        expand("<results>/speech/{id}.npz", id=[*CAST.field_teachers, *CAST.audios]),


rule pretrain:
    input:
        MOTION_MODEL,
        pretrained_by_run(),


rule table1:
    input:
        "<results>/tables/table1.md",


rule table2:
    input:
        "<results>/tables/table2.md",


rule table3:
    input:
        "<results>/tables/table3.md",


rule table4:
    input:
        "<results>/tables/table4.md",


rule export_datasets:
    input:
        expand("<results>/export/{id}", id=CAST.targets),


rule export:
    input:
        rules.export_datasets.input,
        of_avatars("avatar.ply"),
