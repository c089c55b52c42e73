"""Networks on graphs of any kind: message passing with a gated update, and blocks of edges, nodes and globals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from molnet.nn.mlp import MLP


@dataclass(frozen=True)
class GraphTensors:
    """A batch of directed graphs, side by side: rows of nodes, edges and whole graphs, and how they hang together."""

    nodes: Float[Tensor, "nodes node_channels"]
    edges: Float[Tensor, "edges edge_channels"]
    globals: Float[Tensor, "graphs global_channels"]
    senders: Int[Tensor, " edges"]
    receivers: Int[Tensor, " edges"]
    node_graph: Int[Tensor, " nodes"]

    def __post_init__(self) -> None:
        limits = {"senders": len(self.nodes), "receivers": len(self.nodes), "node_graph": len(self.globals)}
        for name, limit in limits.items():
            index = getattr(self, name)
            if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < limit:
                raise ValueError(f"{name} reach from {index.min()} to {index.max()}; expected 0 to {limit - 1}.")

    @staticmethod
    def join(graphs: Sequence[GraphTensors]) -> GraphTensors:
        """One batch of all the graphs, in their order; raises ValueError for none."""
        if not graphs:
            raise ValueError("there are no graphs to join; give one or more.")
        before, graphs_before = 0, 0
        parts: list[tuple[Tensor, ...]] = []
        for graph in graphs:
            index = (graph.senders + before, graph.receivers + before, graph.node_graph + graphs_before)
            parts.append((graph.nodes, graph.edges, graph.globals, *index))
            before, graphs_before = before + len(graph.nodes), graphs_before + len(graph.globals)
        return GraphTensors(*(torch.cat(field) for field in zip(*parts, strict=True)))

    @property
    def edge_graph(self) -> Int[Tensor, " edges"]:
        return self.node_graph[self.receivers]


class GraphBatches:
    """Graphs and what is known of each, in batches of `size` graphs, shuffled anew by the number of each epoch but 0.

    Raises ValueError for no graphs, or where targets and graphs aren't equally many.
    """

    def __init__(
        self, graphs: Sequence[GraphTensors], targets: Shaped[Tensor, "graphs ..."], *, size: int, seed: int = 0
    ) -> None:
        if not graphs or len(graphs) != len(targets):
            raise ValueError(f"there are {len(graphs)} graphs and {len(targets)} targets; expected equally many.")
        self.graphs, self.targets, self.size, self.seed = graphs, targets, size, seed

    def __len__(self) -> int:
        return -(-len(self.graphs) // self.size)

    def epoch(self, number: int) -> Iterator[tuple[GraphTensors, Tensor]]:
        """The batches of an epoch."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        order = torch.randperm(len(self.graphs), generator=generator) if number else torch.arange(len(self.graphs))
        for chosen in order.split(self.size):
            yield GraphTensors.join([self.graphs[i] for i in chosen.tolist()]), self.targets[chosen]


def sum_rows(x: Float[Tensor, "rows channels"], index: Int[Tensor, " rows"], n: int) -> Float[Tensor, "n channels"]:
    """y_i = Σ x_r over the rows r whose index is i; zero where there is none."""
    return x.new_zeros(n, x.shape[1]).index_add(0, index, x)


def softmax_rows(x: Float[Tensor, "rows heads"], index: Int[Tensor, " rows"], n: int) -> Float[Tensor, "rows heads"]:
    """exp x_r / Σ exp x_q over the rows q with the same index as r."""
    where = index[:, None].expand_as(x)
    largest = x.new_full((n, x.shape[1]), -torch.inf).scatter_reduce(0, where, x.detach(), "amax")
    weight = (x - largest[index]).exp()
    return weight / sum_rows(weight, index, n)[index]


class ConcatenatedMessage(nn.Module):
    """M(h_r, h_s, e) = MLP(h_r ‖ h_s ‖ e)."""

    def __init__(self, channels: int, edges: int) -> None:
        super().__init__()
        self.network = MLP([2 * channels + edges, channels, channels])

    def forward(
        self,
        receiver: Float[Tensor, "edges channels"],
        sender: Float[Tensor, "edges channels"],
        edge: Float[Tensor, "edges edge_channels"],
    ) -> Float[Tensor, "edges channels"]:
        return self.network(torch.cat([receiver, sender, edge], dim=1))


class EdgeNetwork(nn.Module):
    """M(h_r, h_s, e) = A(e) h_s with a matrix for every edge from a network of its features.

    Source: J. Gilmer et al., ICML 2017, section 5.
    """

    def __init__(self, channels: int, edges: int) -> None:
        super().__init__()
        self.network = MLP([edges, channels, channels * channels])

    def forward(
        self,
        receiver: Float[Tensor, "edges channels"],
        sender: Float[Tensor, "edges channels"],
        edge: Float[Tensor, "edges edge_channels"],
    ) -> Float[Tensor, "edges channels"]:
        matrix = self.network(edge).unflatten(1, (sender.shape[1], sender.shape[1]))
        return torch.einsum("eij,ej->ei", matrix, sender) / sender.shape[1] ** 0.5


class MessagePassing(nn.Module):
    """The general message passing network with a gated update and a gated readout.

        m_v = Σ_{w→v} M(h_v, h_w, e_wv),   h_v ← GRU(m_v, h_v),   T rounds with the same weights
        y = R( Σ_v σ(i(h_v, x_v)) ⊙ j(h_v) )

    `message` is M: a module of (h_receivers, h_senders, edge features) with outputs [edges, channels].
    Source: J. Gilmer et al., ICML 2017, eqs. 1 to 4; readout of Y. Li et al., ICLR 2016, eq. 7.
    """

    def __init__(self, message: nn.Module, *, nodes: int, channels: int, rounds: int, outputs: int) -> None:
        super().__init__()
        self.message, self.rounds = message, rounds
        self.embed = nn.Linear(nodes, channels)
        self.update = nn.GRUCell(channels, channels)
        self.gate = MLP([channels + nodes, channels])
        self.value = MLP([channels, channels])
        self.output = MLP([channels, channels, outputs])

    def node_states(self, graph: GraphTensors) -> Float[Tensor, "nodes channels"]:
        """h_v after the last round."""
        states = self.embed(graph.nodes)
        for _ in range(self.rounds):
            messages = self.message(states[graph.receivers], states[graph.senders], graph.edges)
            states = self.update(sum_rows(messages, graph.receivers, len(states)), states)
        return states

    def forward(self, graph: GraphTensors) -> Float[Tensor, "graphs outputs"]:
        states = self.node_states(graph)
        gate = torch.sigmoid(self.gate(torch.cat([states, graph.nodes], dim=1)))
        return self.output(sum_rows(gate * self.value(states), graph.node_graph, len(graph.globals)))


class GraphBlock(nn.Module):
    """The full block of a graph network: edges from nodes, nodes from edges, globals from both.

        e' = φ_e(e, v_r, v_s, u),   v' = φ_v(Σ_r e', v, u),   u' = φ_u(Σ e', Σ v', u)

    φ are perceptrons with one hidden layer of `channels`; their outputs have `channels`.
    `widths` are those of nodes, edges and globals that come in.
    Source: P. Battaglia et al., arXiv:1806.01261 (2018), algorithm 1.
    """

    def __init__(self, widths: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        nodes, edges, wholes = widths
        self.edge = MLP([edges + 2 * nodes + wholes, channels, channels])
        self.node = MLP([channels + nodes + wholes, channels, channels])
        self.whole = MLP([2 * channels + wholes, channels, channels])

    def forward(self, graph: GraphTensors) -> GraphTensors:
        v, u = graph.nodes, graph.globals
        edges = self.edge(torch.cat([graph.edges, v[graph.receivers], v[graph.senders], u[graph.edge_graph]], dim=1))
        received = sum_rows(edges, graph.receivers, len(v))
        nodes = self.node(torch.cat([received, v, u[graph.node_graph]], dim=1))
        sums = sum_rows(edges, graph.edge_graph, len(u)), sum_rows(nodes, graph.node_graph, len(u))
        return replace(graph, nodes=nodes, edges=edges, globals=self.whole(torch.cat([*sums, u], dim=1)))


class GraphNetwork(nn.Module):
    """Encode, process, decode: independent encoders, `rounds` residual blocks, and a readout of nodes and globals.

    The readouts are [nodes, outputs] and [graphs, outputs].
    Source: P. Battaglia et al., arXiv:1806.01261 (2018), figure 6c.
    """

    def __init__(self, widths: tuple[int, int, int], *, channels: int, rounds: int, outputs: int) -> None:
        super().__init__()
        self.encode = nn.ModuleList(MLP([width, channels, channels]) for width in widths)
        self.blocks = nn.ModuleList(GraphBlock((channels,) * 3, channels) for _ in range(rounds))
        self.node_output = MLP([channels, channels, outputs])
        self.global_output = MLP([channels, channels, outputs])

    def process(self, graph: GraphTensors) -> GraphTensors:
        """The graph with the channels of the last round."""
        rows = (graph.nodes, graph.edges, graph.globals)
        nodes, edges, wholes = (encode(x) for encode, x in zip(self.encode, rows, strict=True))
        graph = replace(graph, nodes=nodes, edges=edges, globals=wholes)
        for block in self.blocks:
            new = block(graph)
            graph = replace(
                graph,
                nodes=graph.nodes + new.nodes,
                edges=graph.edges + new.edges,
                globals=graph.globals + new.globals,
            )
        return graph

    def forward(self, graph: GraphTensors) -> tuple[Float[Tensor, "nodes outputs"], Float[Tensor, "graphs outputs"]]:
        graph = self.process(graph)
        return self.node_output(graph.nodes), self.global_output(graph.globals)
