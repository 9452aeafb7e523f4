"""What a job needs: time, memory and disk, from what was measured (docs/cluster.md has the table).

Measured by Snakemake's benchmarks on clips of 512 px, 12 to 71 s long, on cores of a cloud machine.
"""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from d3talker import settings as stage_settings
from d3talker.metrics.weights import catalogue
from workflow import configuration

FPS = 25
MEASURED_SIZE = 512  # px
TEST_SECONDS = 12  # at most
SAPIENS_SECONDS = 20.0  # at most
UNKNOWN_SECONDS = 60.0  # of a clip that has not been cut yet
UNKNOWN_MB = 500.0  # of a file of weights whose size is not published
# A D3-Talker of the paper: 32 minutes for 22 000 iterations of adaptation and 3000 of the refiner.
GPU_SECONDS_PER_ITERATION = 1920 / 25000
GPU_FPS = 65  # of the paper
GPU_START = 30.0  # s: loading torch with CUDA, and the clip

SPARE_TIME = 4  # machines differ, and cores are shared
LEAST_MINUTES = 10
SPARE_MEMORY = 1.4
SNAKEMAKE_MB = 500  # Snakemake runs inside the job as well
CUDA_MB = 4000  # of the host


class Cost(NamedTuple):
    """CPU seconds, MB of memory and MB of output: of any job, and what its size adds."""

    seconds: float
    per_second: float  # CPU seconds per second of clip
    per_iteration: float  # CPU seconds per iteration of training, or step, or frame
    mb: float
    mb_per_second: float  # of clip, or of what is trained on
    disk_mb: float = 1
    disk_per_second: float = 0


COSTS = {
    "ingest": Cost(6, 0.25, 0, 300, 0, 5, 0.6),
    "import_dataset": Cost(3, 0.25, 0, 250, 0, 5, 0.6),
    "import_masks": Cost(3, 1.0, 0, 250, 0.1, 1, 2.4),
    "ingest_audio": Cost(1, 0, 0, 100, 0, 1, 0.1),
    "landmarks": Cost(3, 0.25, 0, 230, 0, 1, 0.15),
    "bisenet": Cost(10, 55, 0, 1200, 0, 1, 0.2),
    "parse": Cost(8, 1.3, 0, 440, 0.4, 1, 2.4),
    "landmarks_fan": Cost(10, 60, 0, 900, 0, 1, 0.1),
    "track": Cost(3, 0.25, 0.25, 270, 0.8),
    "speech": Cost(1, 0, 0, 60, 0.8),
    # The next three are estimates from the size of the networks, on the generous side.
    "voice": Cost(15, 3, 0, 3000, 10, 1, 0.2),
    "motion_real3dportrait": Cost(10, 1, 0, 1000, 5, 1, 0.25),
    "sapiens": Cost(30, 1000, 0, 8000, 60, 1, 50),
    "pretrain_motion": Cost(20, 0.1, 0.07, 600, 3, 10),
    "sync": Cost(4, 0, 0, 320, 0.4, 1, 0.04),
    "tune_motion": Cost(16, 0, 0, 350, 1.5, 5),
    "motion": Cost(5, 0.1, 0, 370, 2.4, 1, 0.25),
    "fit_static": Cost(10, 0, 0.065, 900, 65, 5),
    "refine_pose": Cost(10, 0, 0.021, 1750, 0),
    "pretrain_fields": Cost(20, 0.2, 0.155, 1000, 50, 20),
    "adapt": Cost(15, 0, 0.145, 900, 90, 10),
    "finetune_c2f": Cost(15, 0, 0.27, 900, 120, 10),
    "render": Cost(8, 0, 0.05, 2100, 45, 1, 0.5),
    "compare": Cost(5, 0.6, 0, 380, 0, 1, 0.4),
    "landmarks_render": Cost(2, 0.25, 0, 220, 0, 1, 0.15),
    "evaluate": Cost(3, 2.5, 0, 300, 20),
    "fan": Cost(10, 60, 0, 900, 0),
    "syncnet": Cost(10, 4, 0, 900, 10),
    "external": Cost(3, 1, 0, 400, 0, 1, 0.5),
    "export_dataset": Cost(5, 0.9, 0, 400, 0, 5, 12),
    "export_ply": Cost(4, 0, 0, 350, 0, 6),
    "tables": Cost(2, 0, 0, 100, 0),
    "report": Cost(3, 0, 0, 300, 0, 50),
    "make_base": Cost(5, 0, 0, 500, 0, 10),
    "fetch_model": Cost(5, 0, 0, 100, 0),
}
SPEECH_NETWORK = COSTS["voice"]  # of speech by a network
# Rules of the same work under another name.
ALIASES = {
    "speech_of_audio": "speech",
    "motion_predicted": "motion",
    "motion_tracked": "motion",
    "pretrain_fields_alone": "pretrain_fields",
    "fan_truth": "fan",
    "fan_render": "fan",
    "landmarks_driver": "landmarks",
}
TRAINING = {"fit_static", "refine_pose", "pretrain_fields", "adapt", "finetune_c2f", "render"}
TRAINING |= {"sapiens"}  # runs in the same environment
OF_TEST = {"render", "external", "compare", "landmarks_render", "fan", "syncnet", "evaluate"}


def canonical(rule: str) -> str:
    """The rule under whose name the costs of `rule` are listed."""
    return ALIASES.get(rule, rule)


class Work(NamedTuple):
    """What one job is expected to take."""

    cpu_seconds: float
    gpu_seconds: float
    mb: float
    disk_mb: float


class Costs:
    """Expected work of the jobs of a run, and the resources to ask for it."""

    def __init__(self, config: dict, field_teachers: list[str], motion_teachers: list[str]) -> None:
        self.config = config
        self.on_gpu = configuration.training_environment(config) == "gpu"
        self._teachers = {"pretrain_fields": field_teachers, "pretrain_motion": motion_teachers}
        self._iterations = functools.cache(functools.partial(iterations, config))
        self._seconds: dict[str, float] = {}

    def work(self, rule: str, wildcards: Mapping[str, str]) -> Work:
        """Expected work of the job of `rule` with `wildcards`."""
        name = canonical(rule)
        by_network = name == "speech" and configuration.backends(self.config)["speech"] != "logmel"
        cost = SPEECH_NETWORK if by_network else COSTS[name]
        seconds = self._of_clip(name, wildcards)
        share = (self.config["size"] / MEASURED_SIZE) ** 2
        count = self._count(name, wildcards, seconds)
        cpu = cost.seconds + share * (cost.per_second * seconds + cost.per_iteration * count)
        mb = cost.mb + share * cost.mb_per_second * seconds
        disk = cost.disk_mb + share * cost.disk_per_second * seconds
        if name == "fetch_model":
            entries = [one for one in catalogue().values() if one.file == wildcards["file"]]
            disk += sum(one.mb or UNKNOWN_MB for one in entries)
        if not (self.on_gpu and name in TRAINING):
            return Work(cpu, 0.0, mb, disk)
        if name == "sapiens":
            count = FPS * seconds
        each = 1 / GPU_FPS if name == "render" else GPU_SECONDS_PER_ITERATION
        gpu = GPU_START + share * count * each
        return Work(gpu, gpu, mb + CUDA_MB, disk)

    def resources(self, rule: str) -> dict[str, Callable | str]:
        """Resources of a rule for Snakemake: mem_mb, runtime (minutes), disk_mb, gres."""
        asked: dict[str, Callable | str] = {
            "mem_mb": lambda wildcards, attempt: attempt * self._memory(rule, wildcards),
            "runtime": lambda wildcards, threads, attempt: (
                attempt * self._minutes(rule, wildcards, threads)
            ),
            "disk_mb": lambda wildcards: round(2 * self.work(rule, wildcards).disk_mb + 50),
        }
        if self.on_gpu and canonical(rule) in TRAINING:
            asked["gres"] = "gpu:1"
        return asked

    def _memory(self, rule: str, wildcards: Mapping[str, str]) -> int:
        wanted = SPARE_MEMORY * self.work(rule, wildcards).mb + SNAKEMAKE_MB
        return 100 * round(wanted / 100 + 0.5)

    def _minutes(self, rule: str, wildcards: Mapping[str, str], threads: int) -> int:
        wanted = SPARE_TIME * self.work(rule, wildcards).cpu_seconds / threads / 60
        return max(LEAST_MINUTES, round(wanted + 0.5))

    def _of_clip(self, name: str, wildcards: Mapping[str, str]) -> float:
        """Seconds of the clip, or of the part of it, that a job reads."""
        if name in self._teachers:
            return sum(map(self.clip_seconds, self._teachers[name]))
        if name in OF_TEST:
            return TEST_SECONDS
        if name == "sapiens":
            return SAPIENS_SECONDS
        if name in TRAINING and (trained := wildcards.get("secs")):
            return float(trained)
        span = wildcards.get("span", "all")
        if span != "all":
            return float(span.removesuffix("s"))
        who = wildcards.get("id") or wildcards.get("audio")
        return self.clip_seconds(who) if who else 0.0

    def clip_seconds(self, name: str) -> float:
        """Length of a person's clip, s, once it has been cut."""
        if name not in self._seconds:
            try:
                path = Path(self.config["results"], name, "ingest.json")
                self._seconds[name] = json.loads(path.read_text(encoding="utf-8"))["seconds"]
            except (FileNotFoundError, ValueError, KeyError):
                return UNKNOWN_SECONDS
        return self._seconds[name]

    def _count(self, name: str, wildcards: Mapping[str, str], seconds: float) -> float:
        """Iterations, steps or frames of a job."""
        if name == "render":
            return FPS * seconds
        if name == "track":  # each frame costs with the Basel Face Model alone
            return FPS * seconds * (configuration.backends(self.config)["face_model"] == "bfm")
        variant = wildcards.get("avatar")
        return self._iterations(name, variant, wildcards.get("span") == "all")


def iterations(config: dict, name: str, variant: str | None, teacher: bool) -> int:
    """Iterations or steps that the settings ask for of a job that trains, else 0."""

    def given(stage: str):
        accepted = configuration.STAGE_SETTINGS[stage]
        return stage_settings.parse(accepted, configuration.settings(config, stage, variant))

    if name == "fit_static":
        options = given(name)
        return options.teacher_iterations if teacher else options.iterations
    if name == "refine_pose":
        return given(name).steps * FPS * TEST_SECONDS
    if name == "pretrain_fields":
        return given("pretrain").iterations + given("pretrain_c2f").iterations
    if name == "adapt":
        o = given(name)
        return o.face_iterations + o.mouth_iterations + o.iterations + o.fuse_iterations
    if name == "finetune_c2f":
        return given(name).iterations
    if name == "pretrain_motion":
        options = json.loads(configuration.settings(config, name))
        return options.get("networks", 3) * options.get("steps", 600)
    return 0
