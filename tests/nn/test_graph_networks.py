from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from molnet.nn.graph_networks import (
    ConcatenatedMessage,
    EdgeNetwork,
    GraphBlock,
    GraphNetwork,
    GraphTensors,
    MessagePassing,
    softmax_rows,
    sum_rows,
)
from molnet.nn.seeding import seeded


def random_graph(seed: int, nodes: int = 6, edges: int = 9) -> GraphTensors:
    generator = torch.Generator().manual_seed(seed)
    senders, receivers = torch.randint(nodes, (2, edges), generator=generator)
    features = [torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (nodes, edges, 1)]
    return GraphTensors(*features, senders, receivers, torch.zeros(nodes, dtype=torch.long))


def permuted(graph: GraphTensors, order: Tensor) -> GraphTensors:
    back = order.argsort()
    return replace(graph, nodes=graph.nodes[order], senders=back[graph.senders], receivers=back[graph.receivers])


def networks() -> list[nn.Module]:
    with seeded(0):
        made: list[nn.Module] = [
            MessagePassing(message, nodes=3, channels=8, rounds=3, outputs=2)
            for message in (ConcatenatedMessage(8, 3), EdgeNetwork(8, 3))
        ]
        made.append(GraphNetwork((3, 3, 3), channels=8, rounds=2, outputs=2))
    return [network.double() for network in made]


def whole(network: nn.Module, graph: GraphTensors) -> Tensor:
    found = network(graph)
    return found[1] if isinstance(found, tuple) else found


@pytest.mark.parametrize("network", networks(), ids=["concatenated", "edge network", "graph network"])
def test_answers_know_neither_the_numbering_nor_the_other_graphs(network: nn.Module) -> None:
    graphs = [random_graph(seed, nodes=4 + seed) for seed in range(3)]
    singles = torch.cat([whole(network, graph) for graph in graphs])
    torch.testing.assert_close(whole(network, GraphTensors.join(graphs)), singles)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(whole(network, permuted(graphs[0], order)), singles[:1])


def test_the_block_is_the_published_algorithm() -> None:
    with seeded(0):
        block = GraphBlock((3, 3, 3), 5).double()
    graph = random_graph(0)
    u, found = graph.globals[0], block(graph)
    edges = []
    for k, (s, r) in enumerate(zip(graph.senders, graph.receivers, strict=True)):
        edges.append(block.edge(torch.cat([graph.edges[k], graph.nodes[r], graph.nodes[s], u])))
    nodes = []
    for i, node in enumerate(graph.nodes):
        received = sum((e for e, r in zip(edges, graph.receivers, strict=True) if r == i), torch.zeros_like(edges[0]))
        nodes.append(block.node(torch.cat([received, node, u])))
    after = block.whole(torch.cat([sum(edges), sum(nodes), u]))  # type: ignore[list-item]
    torch.testing.assert_close(found.edges, torch.stack(edges))
    torch.testing.assert_close(found.nodes, torch.stack(nodes))
    torch.testing.assert_close(found.globals, after[None])


def test_rows_are_summed_and_compared_by_index() -> None:
    x, index = torch.tensor([[1.0], [1000.0], [3.0]]), torch.tensor([0, 2, 0])
    assert sum_rows(x, index, 4).flatten().tolist() == [4, 0, 1000, 0]
    weights = softmax_rows(x, index, 4).flatten()
    torch.testing.assert_close(weights, torch.tensor([1 / (1 + 2.718281828**2), 1, 1 - 1 / (1 + 2.718281828**2)]))


def cycles(seed: int) -> tuple[GraphTensors, Tensor]:
    """Rings and chains of ten nodes in mixed order; whether it is one ring, which needs messages to tell."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(10, generator=generator)
    ring = seed % 2
    a, b = torch.arange(10 if ring else 9), (torch.arange(10 if ring else 9) + 1) % 10
    graph = GraphTensors(
        torch.ones(10, 1),
        torch.ones(2 * len(a), 1),
        torch.ones(1, 1),
        order[torch.cat([a, b])],
        order[torch.cat([b, a])],
        torch.zeros(10, dtype=torch.long),
    )
    # The same number of edges in both, so that counting them is no answer.
    if not ring:
        ends = torch.tensor([int(order[4])] * 2)
        graph = replace(
            graph,
            senders=torch.cat([graph.senders, ends]),
            receivers=torch.cat([graph.receivers, ends]),
            edges=torch.ones(20, 1),
        )
    return graph, torch.tensor([ring])


def test_message_passing_tells_a_ring_from_a_chain() -> None:
    graphs, labels = zip(*(cycles(seed) for seed in range(40)), strict=True)
    batch, y = GraphTensors.join(graphs), torch.cat(labels)
    with seeded(0):
        network = MessagePassing(ConcatenatedMessage(16, 1), nodes=1, channels=16, rounds=3, outputs=2)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch), y).backward()
        optimizer.step()
    more, labels = zip(*(cycles(seed) for seed in range(100, 120)), strict=True)
    assert torch.equal(network(GraphTensors.join(more)).argmax(dim=1), torch.cat(labels))


def test_broken_graphs_are_refused() -> None:
    graph = random_graph(0)
    with pytest.raises(ValueError, match=r"senders reach from \d to 6; expected 0 to 5"):
        replace(graph, senders=torch.full_like(graph.senders, 6))
    with pytest.raises(ValueError, match="no graphs to join"):
        GraphTensors.join([])
