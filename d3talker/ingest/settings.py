"""What ingest accepts, how it decides, and from where on it warns."""

from dataclasses import dataclass

AUTO, LARGEST, LEFT, RIGHT = "auto", "largest", "left", "right"


@dataclass(frozen=True)
class IngestSettings:
    """Sizes of faces are heights of the detector's box; px are those of the displayed source."""

    # What is looked at
    max_seconds: float = 600.0  # of the video from its start; what follows is left out
    sample_step: int = 5  # frames of 25 fps from one look for faces to the next
    sample_side: int = 960  # px, longer side of those frames at most
    min_seconds: float = 4.0  # of the stretch that is kept
    min_audio_seconds: float = 1.0  # of a cross-driving audio

    # Which stretch is kept
    # Grey levels (of 255) by which the thumbnail changes from one frame to the next
    scene_above: float = 20.0  # at a cut to another scene
    jump_above: float = 3.0  # at a cut within a scene; it is kept if the face stays in its place
    cut_ratio: float = 3.0  # at any cut, over the strongest changes around it
    black_below: float = 24.0  # a frame is black whose thumbnail has no lighter grey level
    max_gap: float = 2.0  # s without a face that a stretch may contain
    min_found: float = 0.5  # share of a stretch's sampled frames that must show the face
    still_below: float = 0.5  # grey levels; a face that changes less in 0.2 s is a photograph

    # Whom it shows
    second_face: float = 0.6  # a face of this share of the largest one's height is a rival
    max_two_faces: float = 0.3  # share of sampled frames that may show a rival
    smallest_person: float = 0.35  # share of the largest face's height that counts as a person
    clearly_larger: float = 1.3  # face height over the next one's: the others are bystanders
    speaker_seconds: float = 40.0  # of the stretch in which mouths are compared with the sound
    speaker_corr: float = 0.2  # correlation of mouth and sound that the speaker must have,
    speaker_margin: float = 0.15  # and by how much more than anybody else

    # How the head is framed
    crop_side: float = 2.4  # side of the crop over the face height: hair and shoulders fit
    crop_centre: float = 0.08  # the crop's centre lies this many face heights below the face's
    head_margin: float = 0.75  # face heights kept on each side of every face centre
    keep_whole: float = 0.7  # a crop at least this share of the short side becomes all of it

    # What is warned of
    soft_below: float = 160.0  # px; a lower face is enlarged and looks soft
    blurred_above: float = 0.65  # blur (0 to 1, Crete et al. 2007) of the face in the clip
    fast_above: float = 1.0  # face heights per s that the head moves in its fastest tenth
    seen_below: float = 0.95  # share of the frames with a face
    silent_below: float = -60.0  # dB of full scale, the whole sound
    quiet_below: float = -40.0  # dB of full scale, speech
    noisy_below: float = 15.0  # dB, speech over noise
    narrow_below: int = 16000  # Hz, sample rate of the source's sound
    missing_sound: float = 1.0  # s of the clip without sound
    missing_picture: float = 2.0  # s that the file promises and does not hold
