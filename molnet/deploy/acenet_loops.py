"""The compiled ACENet as two loops over atoms, forward and back, in stages like those of SchNet.

A stage is a layer, and blocks of atoms pass through all its operations while the caches hold them. Features, what atoms
tell and derivatives with respect to these are (components, atoms, channels). Functions on the sphere are kept block by
block as (harmonics, rows of the block, channels), so that each degree is one matrix.

Arrays by layer are stacked. The first layer, which has scalars only, and the last, which gives no others, leave some of
their numbers unused.
"""

from __future__ import annotations

import numpy as np

from molnet.deploy.acenet_arrays import (
    HARMONICS,
    ROWS,
    Array,
    Arrays,
    Gradients,
    Grid,
    Space,
    Tables,
    Weights,
    Work,
)
from molnet.deploy.acenet_edges import adjoint, density, prepare, vectors_gradient
from molnet.kernels import sphere_loops
from molnet.kernels.compiled import SOURCES, compiled, disjoint, inlined, part
from molnet.kernels.dense import add_product, silu
from molnet.kernels.loops import index_parts

Span = tuple[int, int, int, int, int]
"""The first stage and the one after the last, the number of the part of the atoms, its first and the one after it."""


@inlined
def _fill(row: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[i, c] = row[c]


@inlined
def _add(rows: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[i, c] += rows[i, c]


@disjoint
def _scale(factors: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[i, c] *= factors[i, c]


@inlined
def _shaped(a: Array, *shape: int) -> Array:
    """The first numbers of a space, in that shape."""
    size = 1
    for n in shape:
        size *= n
    return a[:size].reshape(shape)


@inlined
def _place(entries: Array, e: int, row: int, rows: int, channels: int) -> int:
    """Where an output of the couplings stands: degree by degree, component, row and slot."""
    base, m, slots, slot = entries[e, 0], entries[e, 1], entries[e, 2], entries[e, 3]
    return (base * rows + (m * rows + row) * slots + slot) * channels


@disjoint
def _couple(row: int, rows: int, entries: Array, weights: Array, D: Array, out: Array) -> None:
    """Adds C D of one row to outputs that are zero."""
    channels = D.shape[2]
    for e in range(len(weights)):
        p, w, m, a = _place(entries, e, row, rows, channels), weights[e], entries[e, 4], entries[e, 5]
        for c in range(channels):
            out[p + c] += w * D[m, a, c]


@disjoint
def _uncouple(row: int, rows: int, entries: Array, weights: Array, grad: Array, out: Array) -> None:
    """The transpose."""
    channels = out.shape[2]
    out[:] = 0
    for e in range(len(weights)):
        p, w, m, a = _place(entries, e, row, rows, channels), weights[e], entries[e, 4], entries[e, 5]
        for c in range(channels):
            out[m, a, c] += w * grad[p + c]


@part
def _mix(rows: int, slots: Array, V: Array, x: Array, out: Array) -> None:
    """A_l = x_l V_l, degree by degree."""
    channels, place, inputs = out.shape[1], 0, 0
    out[:] = 0
    for degree in range(4):
        count, width = (2 * degree + 1) * rows, slots[degree] * channels
        x_l = x[place : place + count * width].reshape((count, width))
        add_product(0, count, x_l, V[inputs : inputs + width], out[degree**2 * rows : (degree + 1) ** 2 * rows])
        place, inputs = place + count * width, inputs + width


@part
def _unmix(rows: int, slots: Array, V: Array, grad: Array, out: Array) -> None:
    """The transpose, where the transposed V_l stand one after the other."""
    channels, place, inputs, weights = grad.shape[1], 0, 0, V.reshape(V.size)
    for degree in range(4):
        count, width = (2 * degree + 1) * rows, slots[degree] * channels
        x_l = out[place : place + count * width].reshape((count, width))
        x_l[:] = 0
        V_l = weights[inputs : inputs + channels * width].reshape((channels, width))
        add_product(0, count, grad[degree**2 * rows : (degree + 1) ** 2 * rows], V_l, x_l)
        place, inputs = place + count * width, inputs + channels * width


@disjoint
def _gated(M: Array, factors: Array, B: Array) -> None:
    """B = M ∘ factors, component by component."""
    for i in range(M.shape[0]):
        for a in range(M.shape[1]):
            for n in range(M.shape[2]):
                for c in range(M.shape[3]):
                    B[a, i, n, c] = M[i, a, n, c] * factors[i, n, c]


@disjoint
def _ungated(d_B: Array, M: Array, factors: Array, d_M: Array, d_factors: Array) -> None:
    """∂M and ∂factors."""
    d_factors[:] = 0
    for i in range(M.shape[0]):
        for a in range(M.shape[1]):
            for n in range(M.shape[2]):
                for c in range(M.shape[3]):
                    d_M[i, a, n, c] = d_B[a, i, n, c] * factors[i, n, c]
                    d_factors[i, n, c] += d_B[a, i, n, c] * M[i, a, n, c]


@inlined
def _near(work: Work) -> Arrays:
    return work.splines, work.first, work.harmonics, work.numbers, work.ends


@inlined
def _sizes(n: int, weights: Weights) -> tuple[int, int, int, int]:
    """Components that the layer n reads and gives, powers, and channels."""
    (layers, width), channels = weights.gate_bias.shape, weights.linear.shape[1]
    return 4 if n > 0 else 1, 4 if n + 1 < layers else 1, width // channels, channels


@inlined
def _functions(n: int, start: int, stop: int, work: Work, channels: int) -> Array:
    """The functions on the sphere of a block."""
    functions = work.functions[n, start * HARMONICS * channels : stop * HARMONICS * channels]
    return functions.reshape((HARMONICS, stop - start, channels))


@inlined
def _moments(n: int, start: int, stop: int, work: Work, shape: tuple[int, int, int]) -> Array:
    """The moments of a block; of an atom they have that shape."""
    outputs, order, channels = shape
    width = outputs * order * channels
    return work.moments[n, start * width : stop * width].reshape((stop - start, outputs, order, channels))


@part
def _powers(
    n: int, start: int, stop: int, starts: Array, tables: Tables, weights: Weights, work: Work, space: Space
) -> None:
    """From what neighbours tell to the moments of their density's powers."""
    couplings, points = tables
    entries, values, slots = couplings[min(n, 1)]
    (inputs, outputs, order, channels), rows = _sizes(n, weights), stop - start
    A = _functions(n, start, stop, work, channels)
    D, near = _shaped(space.density, HARMONICS, inputs * channels), _near(work)
    edges = (space.told, space.turned)
    space.coupled[: rows * channels * (slots[0] + 3 * slots[1] + 5 * slots[2] + 7 * slots[3])] = 0
    for i in range(start, stop):
        density(i, starts, near, work.told[n, :inputs], weights.control_points[n], edges, D)
        _couple(i - start, rows, entries, values, D.reshape((HARMONICS, inputs, channels)), space.coupled)
    _mix(rows, slots, weights.mix[n], space.coupled, A.reshape((HARMONICS * rows, channels)))
    sphere_loops.moments(np.int64(0), rows, points, A, _moments(n, start, stop, work, (outputs, order, channels)))


@part
def _update(n: int, start: int, stop: int, weights: Weights, work: Work, space: Space) -> None:
    """From moments to features."""
    (_, outputs, order, channels), rows, h = _sizes(n, weights), stop - start, work.features
    width = order * channels
    if n > 0:
        factors = work.factors[n, start:stop]
        _fill(weights.gate_bias[n], factors)
        add_product(0, rows, h[0, start:stop], weights.gate[n], factors)
    M = _moments(n, start, stop, work, (outputs, order, channels))
    B = _shaped(space.gated, outputs, rows, width)
    _gated(M, work.factors[n, start:stop].reshape((rows, order, channels)), B.reshape((outputs, rows, order, channels)))
    for a in range(outputs):
        add_product(0, rows, B[a], weights.update[n, min(a, 1)], h[a, start:stop])
    hidden = _shaped(space.hidden, rows, channels)
    _fill(weights.inner_bias[n], hidden)
    add_product(0, rows, B[0], weights.inner[n], hidden)
    silu(0, rows, hidden, work.slopes[n, start:stop])
    for i in range(start, stop):
        for c in range(channels):
            h[0, i, c] += weights.outer_bias[n, c]
    add_product(0, rows, hidden, weights.outer[n], h[0, start:stop])


@disjoint
def _sum(rows: Array, row: Array, out: Array) -> None:
    """Adds the products of rows and a row, in double precision."""
    for i in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            out[i] += np.float64(rows[i, c]) * row[c]


@part
def _tell(n: int, start: int, stop: int, weights: Weights, work: Work, energies: Array) -> None:
    """What follows from the features: energies, and what is told in the next layer."""
    layers, rows, h, hidden = len(weights.update), stop - start, work.features, work.readout[start:stop]
    if n == 0:
        _fill(weights.readout_bias, hidden)
    add_product(0, rows, h[0, start:stop], weights.readout[n], hidden)
    _sum(h[0, start:stop], weights.linear[n], energies[start:stop])
    if n + 1 < layers:
        for a in range(4):
            told = work.told[n + 1, a, start:stop]
            told[:] = 0
            add_product(0, rows, h[a, start:stop], weights.project[n, min(a, 1)], told)
        return
    silu(0, rows, hidden, work.readout_slopes[start:stop])
    _sum(hidden, weights.last, energies[start:stop])


@inlined
def _own(space: Space, number: int) -> Space:
    return Space(
        space.density[number],
        space.told[number],
        space.heard[number],
        space.turned[number],
        space.by_edge[number],
        space.coupled[number],
        space.functions[number],
        space.gated[number],
        space.moments[number],
        space.factors[number],
        space.hidden[number],
    )


@compiled
def forward(
    span: Span,
    edges: tuple[Arrays, Grid],
    tables: Tables,
    weights: Weights,
    work: Work,
    spaces: Space,
    energies: Array,
    sources: int = SOURCES,
) -> None:
    """Stage n is the layer n. What is told first, features and energies begin with what follows from the species."""
    (first, last, number, low, high), ((pairs, index, vectors), grid) = span, edges
    starts, _, _ = index_parts(index, len(energies))
    space = _own(spaces, number)
    for n in range(first, last):
        for start in range(low, high, ROWS):
            stop = min(start + ROWS, high)
            if n == 0:
                prepare(start, stop, starts, pairs, grid, vectors, _near(work))
            _powers(n, start, stop, starts, tables, weights, work, space)
            _update(n, start, stop, weights, work, space)
            _tell(n, start, stop, weights, work, energies)


@part
def _from_energies(
    n: int, start: int, stop: int, weights: Weights, work: Work, grads: Gradients, d_energies: Array
) -> None:
    """Adds ∂h of the layer n by the readout and by what is told in the next one."""
    layers, rows, g, hidden = len(weights.update), stop - start, grads.features, grads.readout
    if n + 1 == layers:
        g[:, start:stop] = 0
        for i in range(start, stop):
            for c in range(hidden.shape[1]):
                hidden[i, c] = d_energies[i] * weights.last[c] * work.readout_slopes[i, c]
    else:
        for a in range(4):
            total = grads.told[n, 0, a, start:stop]
            for number in range(1, grads.told.shape[1]):
                _add(grads.told[n, number, a, start:stop], total)
            add_product(0, rows, total, weights.project[n, min(a, 1)], g[a, start:stop])
    add_product(0, rows, hidden[start:stop], weights.readout[n], g[0, start:stop])
    for i in range(start, stop):
        for c in range(g.shape[2]):
            g[0, i, c] += d_energies[i] * weights.linear[n, c]


@part
def _from_features(n: int, start: int, stop: int, weights: Weights, work: Work, space: Space, g: Array) -> None:
    """From ∂h after the layer to ∂M, and to ∂h before it as far as the same atom's features are meant."""
    (_, outputs, order, channels), rows = _sizes(n, weights), stop - start
    width = order * channels
    hidden, d_B = _shaped(space.hidden, rows, channels), _shaped(space.gated, outputs, rows, width)
    hidden[:] = 0
    add_product(0, rows, g[0, start:stop], weights.outer[n], hidden)
    _scale(work.slopes[n, start:stop], hidden)
    d_B[:] = 0
    add_product(0, rows, hidden, weights.inner[n], d_B[0])
    for a in range(outputs):
        add_product(0, rows, g[a, start:stop], weights.update[n, min(a, 1)], d_B[a])
    M = _moments(n, start, stop, work, (outputs, order, channels))
    factors, d_factors = work.factors[n, start:stop], _shaped(space.factors, rows, width)
    blocks, shape = (outputs, rows, order, channels), (rows, order, channels)
    d_M = _shaped(space.moments, rows, outputs, order, channels)
    _ungated(d_B.reshape(blocks), M, factors.reshape(shape), d_M, d_factors.reshape(shape))
    if n > 0:
        add_product(0, rows, d_factors, weights.gate[n], g[0, start:stop])


@part
def _from_moments(
    n: int,
    start: int,
    stop: int,
    starts: Array,
    tables: Tables,
    weights: Weights,
    work: Work,
    space: Space,
    sums: tuple[Array, Array, Array],
) -> None:
    """From ∂M to the derivatives with respect to what neighbours told, distances and harmonics."""
    couplings, points = tables
    entries, values, slots = couplings[min(n, 1)]
    (inputs, outputs, order, channels), rows = _sizes(n, weights), stop - start
    A = _functions(n, start, stop, work, channels)
    d_A = _shaped(space.functions, HARMONICS, rows, channels)
    sphere_loops.adjoint(np.int64(0), rows, points, _shaped(space.moments, rows, outputs, order, channels), A, d_A)
    _unmix(rows, slots, weights.mix[n], d_A.reshape((HARMONICS * rows, channels)), space.coupled)
    G, near = _shaped(space.density, HARMONICS, inputs, channels), _near(work)
    edges = (space.told, space.heard, space.turned, space.by_edge)
    told, C = work.told[n, :inputs], weights.control_points[n]
    for i in range(start, stop):
        _uncouple(i - start, rows, entries, values, space.coupled, G)
        adjoint(i, starts, near, told, C, G.reshape((HARMONICS, inputs * channels)), edges, sums)


@compiled
def backward(
    span: Span,
    edges: tuple[Arrays, Grid],
    tables: Tables,
    weights: Weights,
    work: Work,
    spaces: Space,
    outs: tuple[Gradients, Array, Array],
    sources: int = SOURCES,
) -> None:
    """Stage 0 is the last layer, and so on; from ∂E_i to ∂r_ij, which are zero at first for edges that don't count."""
    (first, last, number, low, high), ((_, index, vectors), _), (grads, d_energies, out) = span, edges, outs
    layers, starts, g = len(weights.update), index_parts(index, len(d_energies))[0], grads.features
    space, sums, near = _own(spaces, number), (grads.distance, grads.harmonics), _near(work)
    for stage in range(first, last):
        n = layers - 1 - stage
        for start in range(low, high, ROWS):
            stop = min(start + ROWS, high)
            if stage == 0:
                sums[0][starts[start] : starts[stop]] = 0
                sums[1][starts[start] : starts[stop]] = 0
            _from_energies(n, start, stop, weights, work, grads, d_energies)
            _from_features(n, start, stop, weights, work, space, g)
            d_told = grads.told[n - 1, number] if n > 0 else g[:0]
            _from_moments(n, start, stop, starts, tables, weights, work, space, (d_told, sums[0], sums[1]))
            if n == 0:
                vectors_gradient(start, stop, starts, near, vectors, sums, out)
