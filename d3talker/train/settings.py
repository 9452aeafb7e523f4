"""Schedules and loss weights of training, as data: each number once, with its meaning and source.

The defaults are the `quick` preset. Learning rates follow spec 3.1, 4.7 unless said otherwise.
"""

from dataclasses import dataclass, field

from d3talker.splat.density import DensityControl


@dataclass(frozen=True)
class Curriculum:
    """When which frames are drawn (curriculum.py); off, with adaptation's numbers (spec 3.6)."""

    span: int = 0  # iterations over which the choice moves on; 0: all frames at all times
    warm: int = 3000  # iterations by the opening of the mouth; those after it by blinks
    face_interval: int = 10  # iterations; of so many one chooses, where the face is drawn
    mouth_interval: int = 5  # the same for the mouth alone
    opening_width: float = 0.5  # half of the window, as a share of the range of openings
    blink_below: float = 0.6  # the window's reach below the progress, of a full blink
    blink_above: float = 0.4
    widest: float = 0.75  # quantile of the opening from which on a mouth counts as wide open


@dataclass(frozen=True)
class TrainSettings:
    """What the one training loop reads. The stages below override what differs."""

    iterations: int = 2500
    max_face: int = 20000  # Gaussians of the face and hair
    max_mouth: int = 3000  # Gaussians of the inner mouth
    densify: bool = False  # add and remove Gaussians, by the rules of `density`
    density: DensityControl = field(default_factory=DensityControl)
    curriculum: Curriculum = field(default_factory=Curriculum)  # which frames are drawn when
    checkpoint_every: int = 500  # iterations after which a killed stage can go on; 0: never

    # Hair teaches in one of `hair_interval` iterations between `hair_off_start` and `hair_off_stop`
    # (0: the end of the phase), and in all others (spec 3.8). 1: always. Adaptation: 7.
    hair_interval: int = 1
    hair_off_start: int = 3000
    hair_off_stop: int = 6500
    # Train heads before green, and remove Gaussians that show it, as the ancestors do (spec 3.3,
    # 3.4, 3.8), but for the fuse phase; else before the real backdrop.
    green: bool = False

    # learning rates of the Gaussians (per step of Adam)
    means_lr: float = 2e-4  # m
    means_lr_final: float = 0.05  # factor reached at the end, log-linear
    means_lr_span: int = 0  # iterations after which it is reached; 0: the phase's; 45 000
    quats_lr: float = 1e-3
    scales_lr: float = 5e-3
    opacities_lr: float = 0.03
    colors_lr: float = 2.5e-3
    attributes_lr_final: float = 0.2  # factor of the other attributes at the end

    # learning rates of the fields (AdamW)
    general_table_lr: float = 5e-3
    general_net_lr: float = 1e-3
    individual_table_lr: float = 2e-3
    individual_net_lr: float = 5e-4
    aligner_table_lr: float = 2e-3  # of an architecture with an aligner
    aligner_net_lr: float = 2.5e-4  # half of that of the Individual field's networks
    fields_lr_final: float = 0.05  # factor of the General field reached at the end, log-linear
    general_halving: int = 0  # iterations in which its rates halve, before that curve; 100 000
    general_slow: float = 0.1  # their factor before the next iteration
    general_slow_until: int = 0  # 3000 in adaptation
    individual_lr_final: float = 0.05  # factor of the Individual field or aligner; 1 (spec 4.7)
    fields_warmup: int = 200  # iterations of linear warm-up
    individual_start: int = 500  # the individual field is still before this iteration (spec 6.5)
    aligner_start: int = 300  # the aligner is still before; a tenth of the phase
    ema: float = 0.0  # decay of the running mean of the general field; 0: none (spec 4.7)

    # corrections of the tracker's head poses; 0 keeps them
    pose_rotation_lr: float = 0.0  # rad
    pose_translation_lr: float = 0.0  # m
    pose_start: int = 250  # iteration

    au_noise: float = 0.05  # sigma of noise on the action units (spec 1.10)

    # loss weights; L1 has weight 1
    dssim: float = 0.2  # eq. (12), spec 3.3
    alpha: float = 0.02  # silhouette, feasibility's value
    hole: float = 0.02  # face Gaussians over the inner mouth
    motion: float = 1e-5  # mean size of the deformation (spec 3.9)
    negative_contrast: float = 1.0  # L_C of InsTaG (spec 4.6)
    similarity_contrast: float = 1e-3  # lambda_SC, eq. (12) (spec 6.4)
    temperature: float = 0.1  # tau, eq. (10)
    contrast_points: int = 2048  # Gaussians at which the fields are compared
    contrast_start: int = 1000  # iteration; a cosine of tiny deformations has huge gradients
    contrast_per_point: bool = False  # L_SC by the mean of the points' cosines (spec 6.4)
    # Mean attention of both fields, rendered, where it should not be (spec 3.9): to the eyes'
    # signal inside the lips (5e-3 in pretrain, 1e-4 in adapt), to any signal in the hair (1e-4).
    lips_attention: float = 0.0
    hair_attention: float = 0.0
    attention_every: int = 4  # iterations; drawn so seldom, and weighed by as much


@dataclass(frozen=True)
class StaticSettings(TrainSettings):
    """fit_static: Gaussians in the rest pose and head poses together, no motion."""

    densify: bool = True
    pose_rotation_lr: float = 5e-4
    pose_translation_lr: float = 1e-4
    initial_face: int = 12000  # Gaussians at the start, half on the face mesh
    initial_mouth: int = 1500
    teacher_iterations: int = 1500  # of a pre-training person, whose head nobody will see


@dataclass(frozen=True)
class PretrainSettings(TrainSettings):
    """pretrain: one General field and one Individual field per person."""

    iterations: int = 3000
    means_lr: float = 5e-5
    quats_lr: float = 5e-4
    scales_lr: float = 2e-3
    opacities_lr: float = 0.01
    ema: float = 0.995


@dataclass(frozen=True)
class AdaptSettings(TrainSettings):
    """adapt: pre-trained General field, Individual field from scratch, one person.

    Phases of no iterations are left out; the others run in the order of the next four lines. Every
    schedule below starts anew in each. The paper has three phases: face, mouth and fuse.
    """

    face_iterations: int = 0  # the face alone; 10 000 (spec 4.9)
    mouth_iterations: int = 0  # the mouth alone, behind the face as it is; 10 000 (spec 4.9)
    iterations: int = 3000  # face and mouth together
    fuse_iterations: int = 0  # colours of both and opacity of the face; 2000 (spec 4.9)
    densify: bool = True
    means_lr: float = 5e-5
    quats_lr: float = 5e-4
    scales_lr: float = 2e-3
    opacities_lr: float = 0.02
    colors_lr: float = 1.5e-3
    pose_rotation_lr: float = 1.5e-4
    pose_translation_lr: float = 3e-5

    # L_Geo, eq. (13), of a person with a geometry prior, while the face's shape is trained
    depth: float = 0.01  # weight (spec 3.9)
    normal: float = 0.01  # weight (spec 3.9)
    geometry_start: int = 1500  # iteration; 5000 of 10 000 (spec 3.9)
    depth_pause_every: int = 3000  # iterations: as often opacities are reset in the paper, and
    depth_pause: int = 100  # depth waits for so many until they have recovered (spec 3.9)
    # AlexNet features of random patches; needs its weights (`models.alexnet`). The face without
    # the lips: 0.01 from 7500 of 10 000 on, patches of 64 to 96 px; the whole head in the fuse
    # phase: 0.05 from half of it on, 32 to 42 px (spec 3.9)
    perceptual: float = 0.0
    perceptual_start: float = 0.75  # share of the phase
    fuse_perceptual: float = 0.0
    fuse_perceptual_start: float = 0.5  # share of the phase


@dataclass(frozen=True)
class PoseSettings:
    """refine_pose: photometric poses of frames on which nothing was trained."""

    steps: int = 20  # per frame
    scale: float = 0.5  # of the resolution
    rotation_lr: float = 5e-4  # rad
    translation_lr: float = 1e-4  # m
    lr_final: float = 0.15  # factor at the last step
    moving_weight: float = 0.05  # weight of pixels below the nose; the static head does not speak
    smoothing: int = 5  # frames of the quadratic filter over time; 1: none


@dataclass(frozen=True)
class RefinerSettings:
    """Coarse-to-fine refiner: base model in pretrain, the target's copy in finetune_c2f."""

    iterations: int = 800
    checkpoint_every: int = 500  # iterations after which a killed stage can go on; 0: never
    lr: float = 1e-3
    lr_final: float = 0.05  # factor at the end
    dssim: float = 0.2
    perceptual: float = 0.0  # lambda_p, eq. (11): 0.01 (spec 5.5); needs `models.alexnet`
    pose_noise_rotation: float = 3e-3  # rad; renders at test time are not as well aligned
    pose_noise_translation: float = 5e-4  # m
