"""Avatars as .ply files of 3D Gaussian Splatting."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
plyfile = pytest.importorskip("plyfile")

from test_rasterizer import make_camera, make_gaussians  # noqa: E402

from d3talker.artifacts import ArtifactError  # noqa: E402
from d3talker.export.ply import C0, load_ply, save_ply  # noqa: E402
from d3talker.splat.rasterize import rasterize  # noqa: E402

# Of the reference program's files, in their order.
PROPERTIES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
    *(f"f_rest_{i}" for i in range(45)),
    *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]


@pytest.fixture
def gaussians():
    names = ("means", "quats", "scales", "opacities", "colors")
    return dict(zip(names, make_gaussians(200), strict=True))


def test_a_viewer_finds_the_layout_of_3dgs(gaussians, tmp_path):
    save_ply(tmp_path / "head.ply", gaussians)
    file = plyfile.PlyData.read(str(tmp_path / "head.ply"))
    assert [element.name for element in file] == ["vertex"] and file.byte_order == "<"
    vertices = file["vertex"]
    assert [p.name for p in vertices.properties] == PROPERTIES
    assert {p.val_dtype for p in vertices.properties} == {"f4"}
    assert len(vertices.data) == len(gaussians["means"])
    # As a viewer uses them.
    assert np.allclose(np.exp(vertices["scale_1"]), gaussians["scales"][:, 1], rtol=1e-5)
    assert np.allclose(1 / (1 + np.exp(-vertices["opacity"])), gaussians["opacities"], atol=1e-5)
    assert np.allclose(0.5 + C0 * vertices["f_dc_2"], gaussians["colors"][:, 2], atol=1e-5)
    norm = sum(vertices[f"rot_{i}"] ** 2 for i in range(4))
    assert np.allclose(norm, 1, atol=1e-5)


def test_the_file_shows_the_same_image(gaussians, tmp_path):
    save_ply(tmp_path / "head.ply", gaussians)
    camera = make_camera()
    want = rasterize(**gaussians, camera=camera)
    found = rasterize(**load_ply(tmp_path / "head.ply"), camera=camera)
    assert want.alpha.max() > 0.5
    assert torch.allclose(found.color, want.color, atol=1e-4)
    assert torch.allclose(found.alpha, want.alpha, atol=1e-4)


def test_opaque_and_invisible_gaussians_stay_finite(gaussians, tmp_path):
    gaussians["opacities"][:2] = torch.tensor([0.0, 1.0])
    save_ply(tmp_path / "head.ply", gaussians)
    back = load_ply(tmp_path / "head.ply")["opacities"]
    assert torch.allclose(back[:2], torch.tensor([0.0, 1.0]), atol=1e-5)


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "points.ply"
    path.write_text("ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n")
    with pytest.raises(ArtifactError, match=r"points\.ply: not a \.ply of Gaussians"):
        load_ply(path)
