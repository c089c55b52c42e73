import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.kernels.dense import add_product, silu, softplus

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@DTYPES
@settings(max_examples=30, deadline=None)
@given(low=st.integers(0, 5), rows=st.integers(0, 19), terms=st.integers(0, 9), columns=st.integers(1, 70))
def test_a_product_is_added_to_its_rows_and_no_others(dtype, low, rows, terms, columns):
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(low + rows + 2, terms)).astype(dtype), rng.normal(size=(terms, columns)).astype(dtype)
    before = rng.normal(size=(len(x), columns)).astype(dtype)
    out, expected = before.copy(), before.astype(np.float64)
    expected[low : low + rows] += x[low : low + rows].astype(np.float64) @ W
    add_product(low, low + rows, x, W, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=50 * np.finfo(dtype).eps)


@DTYPES
def test_softplus_and_its_derivative_are_as_exact_as_their_precision(dtype):
    a = np.concatenate([np.linspace(-30, 30, 997), [-600.0, -90.0, 90.0, 600.0, 1e30, 0.0]]).astype(dtype)[None]
    found, slopes = a.copy(), np.empty_like(a)
    softplus(0, 1, found, slopes)
    exact, z = torch.from_numpy(a).double(), torch.from_numpy(a).double().abs().neg().exp()
    np.testing.assert_allclose(found, exact.clamp(min=0) + z.log1p(), rtol=4 * np.finfo(dtype).eps, atol=1e-20)
    np.testing.assert_allclose(slopes, exact.sigmoid(), rtol=4 * np.finfo(dtype).eps, atol=1e-20)


@DTYPES
def test_softplus_of_nan_is_nan_and_other_rows_stay(dtype):
    a = np.array([[1.0, 2.0], [np.nan, 0.0], [3.0, np.inf]], dtype)
    slopes = np.zeros_like(a)
    softplus(1, 3, a, slopes)
    assert a[0].tolist() == [1.0, 2.0] and not slopes[0].any()
    assert np.isnan([a[1, 0], slopes[1, 0]]).all() and a[1, 1] == pytest.approx(np.log(2))
    assert a[2, 1] == np.inf and slopes[2, 1] == 1


@DTYPES
def test_silu_and_its_derivative_are_as_exact_as_their_precision(dtype):
    a = np.concatenate([np.linspace(-30, 30, 997), [-600.0, -90.0, 90.0, 600.0, 1e30, 0.0, np.nan]]).astype(dtype)[None]
    found, slopes, x = a.copy(), np.empty_like(a), torch.from_numpy(a).double()
    silu(0, 1, found, slopes)
    sigma = x.sigmoid()
    np.testing.assert_allclose(found, x * sigma, rtol=4 * np.finfo(dtype).eps, atol=1e-20)
    np.testing.assert_allclose(slopes, sigma + x * sigma * (-x).sigmoid(), rtol=0, atol=8 * np.finfo(dtype).eps)
