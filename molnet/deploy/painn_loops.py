"""The compiled PaiNN as two loops over atoms, forward and back, in stages like those of SchNet.

Arrays by layer are stacked: `phi` (layers, atoms, 3, channels) holds φ_s, φ_v and φ_r, and C (layers, knots, 3,
channels) their filters; v (layers + 1, atoms, 3, channels) are the vectors before a layer, UV (layers, atoms, 3, 2,
channels) their two mixtures after its messages, and a (layers, atoms, 3, channels) the factors a_s, a_sv and a_v of the
update. Components are in the order y, z, x.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molnet.deploy.schnet_loops import ROWS, U, edge_splines
from molnet.kernels.compiled import compiled, disjoint, inlined
from molnet.kernels.dense import add_product, silu
from molnet.kernels.loops import BEYOND, index_parts

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Grid = tuple[float, int]


@inlined
def _direction(vectors: Array, kept: Array, e: int) -> tuple[float, float, float]:
    """r̂ in the order y, z, x."""
    return vectors[e, 1] * kept[e, 8], vectors[e, 2] * kept[e, 8], vectors[e, 0] * kept[e, 8]


@disjoint
def _messages(
    low: int, high: int, edges: Arrays, near: Arrays, phi: Array, v: Array, C: Array, s: Array, out: Array
) -> None:
    """s_i += Σ_j W_s φ_s and out_i = v_i + Σ_j (v_j W_v φ_v + r̂_ij W_r φ_r)."""
    (pairs, index), (kept, first, vectors) = edges, near
    starts, _, _ = index_parts(index, s.shape[0])
    for i in range(low, high):
        out[i] = v[i]
        for e in range(starts[i], starts[i + 1]):
            if first[e] == BEYOND:
                continue
            j, n = U(pairs[1, e]), U(first[e])
            b0, b1, b2, b3 = kept[e, 0], kept[e, 1], kept[e, 2], kept[e, 3]
            y, z, x = _direction(vectors, kept, e)
            for c in range(s.shape[1]):
                w = b0 * C[n, 0, c] + b1 * C[n + U(1), 0, c] + b2 * C[n + U(2), 0, c] + b3 * C[n + U(3), 0, c]
                q = b0 * C[n, 1, c] + b1 * C[n + U(1), 1, c] + b2 * C[n + U(2), 1, c] + b3 * C[n + U(3), 1, c]
                r = b0 * C[n, 2, c] + b1 * C[n + U(1), 2, c] + b2 * C[n + U(2), 2, c] + b3 * C[n + U(3), 2, c]
                s[i, c] += w * phi[j, 0, c]
                p, t = q * phi[j, 1, c], r * phi[j, 2, c]
                out[i, 0, c] += p * v[j, 0, c] + y * t
                out[i, 1, c] += p * v[j, 1, c] + z * t
                out[i, 2, c] += p * v[j, 2, c] + x * t


@disjoint
def _adjoint(low: int, high: int, edges: Arrays, near: Arrays, G: Arrays, told: Arrays, C: Array, outs: Arrays) -> None:
    """∂φ_j, ∂v_j, and adds to an edge its derivatives with respect to the distance and the direction."""
    (pairs, index), (kept, first, vectors), (ds, dv), (phi, v) = edges, near, G, told
    d_phi, dv_out, d_edges = outs
    _, starts, reverse = index_parts(index, ds.shape[0])
    for row in range(low, high):
        j = U(row)
        d_phi[j] = 0
        dv_out[j] = dv[j]
        for place in range(starts[row], starts[row + 1]):
            e = reverse[place]
            if first[e] == BEYOND:
                continue
            i, n = U(pairs[0, e]), U(first[e])
            b0, b1, b2, b3 = kept[e, 0], kept[e, 1], kept[e, 2], kept[e, 3]
            d0, d1, d2, d3 = kept[e, 4], kept[e, 5], kept[e, 6], kept[e, 7]
            y, z, x = _direction(vectors, kept, e)
            slope = along_y = along_z = along_x = ds.dtype.type(0)
            for c in range(ds.shape[1]):
                w0, w1, w2, w3 = C[n, 0, c], C[n + U(1), 0, c], C[n + U(2), 0, c], C[n + U(3), 0, c]
                q0, q1, q2, q3 = C[n, 1, c], C[n + U(1), 1, c], C[n + U(2), 1, c], C[n + U(3), 1, c]
                r0, r1, r2, r3 = C[n, 2, c], C[n + U(1), 2, c], C[n + U(2), 2, c], C[n + U(3), 2, c]
                q = b0 * q0 + b1 * q1 + b2 * q2 + b3 * q3
                r = b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3
                g0, g1, g2 = dv[i, 0, c], dv[i, 1, c], dv[i, 2, c]
                of_vectors = v[j, 0, c] * g0 + v[j, 1, c] * g1 + v[j, 2, c] * g2
                directed = y * g0 + z * g1 + x * g2
                slope += (d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3) * phi[j, 0, c] * ds[i, c]
                slope += (d0 * q0 + d1 * q1 + d2 * q2 + d3 * q3) * phi[j, 1, c] * of_vectors
                slope += (d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3) * phi[j, 2, c] * directed
                d_phi[j, 0, c] += (b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3) * ds[i, c]
                d_phi[j, 1, c] += q * of_vectors
                d_phi[j, 2, c] += r * directed
                p, t = q * phi[j, 1, c], r * phi[j, 2, c]
                dv_out[j, 0, c] += p * g0
                dv_out[j, 1, c] += p * g1
                dv_out[j, 2, c] += p * g2
                along_y += t * g0
                along_z += t * g1
                along_x += t * g2
            d_edges[e, 0] += slope
            d_edges[e, 1] += along_x
            d_edges[e, 2] += along_y
            d_edges[e, 3] += along_z


@inlined
def _fill(low: int, high: int, row: Array, out: Array) -> None:
    for i in range(low, high):
        for c in range(out.shape[1]):
            out[i, c] = row[c]


@inlined
def _rows(x: Array, n_rows: int) -> Array:
    return x.reshape((n_rows, x.size // n_rows))


@disjoint
def _lengths(low: int, high: int, UV: Array, s: Array, softening: float, read: Array) -> None:
    """What the update's network reads: s and √(|Vv|² + ε)."""
    for i in range(low, high):
        for c in range(s.shape[1]):
            square = UV[i, 0, 1, c] ** 2 + UV[i, 1, 1, c] ** 2 + UV[i, 2, 1, c] ** 2
            read[i, c], read[i, c + s.shape[1]] = s[i, c], np.sqrt(square + softening)


@disjoint
def _updated(low: int, high: int, UV: Array, a: Array, s: Array, v: Array) -> None:
    for i in range(low, high):
        for c in range(s.shape[1]):
            u0, u1, u2 = UV[i, 0, 0, c], UV[i, 1, 0, c], UV[i, 2, 0, c]
            dot = u0 * UV[i, 0, 1, c] + u1 * UV[i, 1, 1, c] + u2 * UV[i, 2, 1, c]
            s[i, c] += a[i, 0, c] + a[i, 1, c] * dot
            v[i, 0, c] += a[i, 2, c] * u0
            v[i, 1, c] += a[i, 2, c] * u1
            v[i, 2, c] += a[i, 2, c] * u2


@disjoint
def _factors_gradient(low: int, high: int, UV: Array, ds: Array, dv: Array, da: Array) -> None:
    for i in range(low, high):
        for c in range(ds.shape[1]):
            u0, u1, u2 = UV[i, 0, 0, c], UV[i, 1, 0, c], UV[i, 2, 0, c]
            da[i, 0, c] = ds[i, c]
            da[i, 1, c] = ds[i, c] * (u0 * UV[i, 0, 1, c] + u1 * UV[i, 1, 1, c] + u2 * UV[i, 2, 1, c])
            da[i, 2, c] = dv[i, 0, c] * u0 + dv[i, 1, c] * u1 + dv[i, 2, c] * u2


@disjoint
def _mixtures_gradient(
    low: int, high: int, UV: Array, a: Array, read: Array, d_read: Array, ds: Array, dv: Array, d_UV: Array
) -> None:
    """∂U, ∂V, and adds to ∂s what the update's network read."""
    channels = ds.shape[1]
    for i in range(low, high):
        for c in range(channels):
            by_dot, by_square = ds[i, c] * a[i, 1, c], d_read[i, c + channels] / read[i, c + channels]
            for k in range(3):
                d_UV[i, k, 0, c] = dv[i, k, c] * a[i, 2, c] + by_dot * UV[i, k, 1, c]
                d_UV[i, k, 1, c] = by_dot * UV[i, k, 0, c] + by_square * UV[i, k, 1, c]
            ds[i, c] += d_read[i, c]


@compiled
def forward(
    stages: tuple[int, int],
    low: int,
    high: int,
    edges: Arrays,
    constants: tuple[float, int, float],
    weights: Arrays,
    work: Arrays,
    energies: Array,
) -> None:
    """Stage n is the layer n: messages, update, and what is told in the next layer, or at last the energies.

    Scalars, vectors and `phi` of the first layer are given; energies are in float64.
    """
    C, W1, b1, W2, b2, mix, Wa, ba, Wb, bb, R, r, last, zero = weights
    cutoff, knots, softening = constants
    vectors, kept, first, s, v, phi, told, UV, read, hidden, slopes, a, readout, readout_slopes = work
    layers, atoms = UV.shape[0], UV.shape[1]
    starts, _, _ = index_parts(edges[1], atoms)
    near = (kept, first, vectors)
    for n in range(stages[0], stages[1]):
        for start in range(low, high, ROWS):
            stop = min(start + ROWS, high)
            if n == 0:
                edge_splines(starts[start], starts[stop], (cutoff, knots), vectors, kept, first)
            _messages(start, stop, edges, near, phi[n], v[n], C[n], s, v[n + 1])
            UV[n, start:stop] = 0
            add_product(3 * start, 3 * stop, _rows(v[n + 1], 3 * atoms), mix[n], _rows(UV[n], 3 * atoms))
            _lengths(start, stop, UV[n], s, softening, read[n])
            _fill(start, stop, ba[n], hidden)
            add_product(start, stop, read[n], Wa[n], hidden)
            silu(start, stop, hidden, slopes[n])
            _fill(start, stop, bb[n], _rows(a[n], atoms))
            add_product(start, stop, hidden, Wb[n], _rows(a[n], atoms))
            _updated(start, stop, UV[n], a[n], s, v[n + 1])
            if n + 1 < layers:
                _fill(start, stop, b1[n], hidden)
                add_product(start, stop, s, W1[n], hidden)
                silu(start, stop, hidden, told[n])
                _fill(start, stop, b2[n], _rows(phi[n + 1], atoms))
                add_product(start, stop, hidden, W2[n], _rows(phi[n + 1], atoms))
                continue
            _fill(start, stop, r, readout)
            add_product(start, stop, s, R, readout)
            silu(start, stop, readout, readout_slopes)
            for i in range(start, stop):
                energies[i] = zero[i]
                for c in range(readout.shape[1]):
                    energies[i] += np.float64(readout[i, c]) * last[c]


@compiled
def backward(
    stages: tuple[int, int],
    low: int,
    high: int,
    edges: Arrays,
    weights: Arrays,
    work: Arrays,
    grads: Arrays,
    d_energies: Array,
) -> None:
    """Stage 0 is the readout, and each other the messages of a layer, from the last one on; the update before follows.

    Derivatives that the next stage reads of all atoms stand in one of two places, and it writes to the other.
    """
    C, W1, W2, mix, Wa, Wb, R, last = weights
    vectors, kept, first, _, v, phi, told, UV, read, _, slopes, a, _, readout_slopes = work
    ds, dv, d_phi, d_hidden, d_read, da, d_UV, d_readout, d_edges = grads
    layers, atoms = UV.shape[0], UV.shape[1]
    near = (kept, first, vectors)
    for stage in range(stages[0], stages[1]):
        n, here, there = layers - stage, (stage + 1) % 2, stage % 2
        for start in range(low, high, ROWS):
            stop = min(start + ROWS, high)
            G, ds_out, dv_out = (ds[here], dv[here]), ds[there], dv[there]
            if stage == 0:
                for i in range(start, stop):
                    ds_out[i], dv_out[i] = 0, 0
                    for c in range(d_readout.shape[1]):
                        d_readout[i, c] = d_energies[i] * last[c] * readout_slopes[i, c]
                add_product(start, stop, d_readout, R, ds_out)
            else:
                _adjoint(start, stop, edges, near, G, (phi[n], v[n]), C[n], (d_phi, dv_out, d_edges))
                if n == 0:
                    continue
                d_hidden[start:stop] = 0
                add_product(start, stop, _rows(d_phi, atoms), W2[n - 1], d_hidden)
                d_hidden[start:stop] *= told[n - 1, start:stop]
                ds_out[start:stop] = ds[here, start:stop]
                add_product(start, stop, d_hidden, W1[n - 1], ds_out)
            m = n - 1
            _factors_gradient(start, stop, UV[m], ds_out, dv_out, da)
            d_hidden[start:stop], d_read[start:stop] = 0, 0
            add_product(start, stop, _rows(da, atoms), Wb[m], d_hidden)
            d_hidden[start:stop] *= slopes[m, start:stop]
            add_product(start, stop, d_hidden, Wa[m], d_read)
            _mixtures_gradient(start, stop, UV[m], a[m], read[m], d_read, ds_out, dv_out, d_UV)
            add_product(3 * start, 3 * stop, _rows(d_UV, 3 * atoms), mix[m], _rows(dv_out, 3 * atoms))


@compiled
def vectors_gradient(vectors: Array, kept: Array, first: Array, d_edges: Array, out: Array) -> None:
    """∂r_ij = s r̂ + (g − (g·r̂) r̂)/r with the derivatives s by the distance and g by the direction."""
    for e in range(vectors.shape[0]):
        out[e] = 0
        if first[e] == BEYOND:
            continue
        inverse, along = kept[e, 8], kept.dtype.type(0)
        for k in range(3):
            along += d_edges[e, k + 1] * vectors[e, k] * inverse
        for k in range(3):
            out[e, k] = d_edges[e, 0] * vectors[e, k] * inverse
            out[e, k] += (d_edges[e, k + 1] - along * vectors[e, k] * inverse) * inverse
