"""The part of a step graph that only sound needs, put under an If: a tick in which it is silent does not run it.

What is skipped: the nodes that no output but `speech` and the voice's states hangs on. Nothing else changes, and where it speaks nothing at
all: the host reads neither while the codes say silence.
"""
from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from .moonshine import TICK

SOUND = ("speech", "voice")  # names of these outputs begin so


def needed(graph: onnx.GraphProto, outputs: list[str]) -> set[int]:
    """Indices of the nodes that these outputs hang on."""
    maker = {o: i for i, n in enumerate(graph.node) for o in n.output}
    found, open_ = set(), [maker[o] for o in outputs if o in maker]
    while open_:
        i = open_.pop()
        if i not in found:
            found.add(i)
            open_ += [maker[x] for x in graph.node[i].input if x in maker]
    return found


def only_when_it_speaks(model: onnx.ModelProto) -> onnx.ModelProto:
    """`codes_new[0] < CODES` decides, by the node that decided the codes."""
    graph = model.graph
    sound = [o for o in graph.output if o.name.startswith(SOUND)]
    others = needed(graph, [o.name for o in graph.output if not o.name.startswith(SOUND)])
    inside = sorted(needed(graph, [o.name for o in sound]) - others)
    speaks = next(n for n in graph.node if n.op_type == "Greater" and n.input[0].startswith("/speaks/"))
    then = helper.make_graph([graph.node[i] for i in inside], "it speaks", [], [])
    silent = helper.make_graph([], "it is silent", [], [])
    shapes = {f"{i.name}_new": [d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input}
    for o in sound:
        then.output.append(helper.make_tensor_value_info(o.name, TensorProto.FLOAT, None))
        name, shape = f"{o.name}.none", shapes.get(o.name, [1, TICK])
        silent.node.append(helper.make_node("ConstantOfShape", [f"{name}.shape"], [name], value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])))
        silent.initializer.append(helper.make_tensor(f"{name}.shape", TensorProto.INT64, [len(shape)], shape))
        silent.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    # Inside, the outputs keep their names; outside, they are what the If gives.
    rename = {o.name: f"{o.name}.sound" for o in sound}
    for node in then.node:
        for names in (node.input, node.output):
            for i, x in enumerate(names):
                names[i] = rename.get(x, x)
    for o in then.output:
        o.name = rename[o.name]
    choice = helper.make_node("If", [speaks.output[0]], [o.name for o in sound], name="/speaks", then_branch=then, else_branch=silent)
    kept = [n for i, n in enumerate(graph.node) if i not in set(inside)]
    del graph.node[:]
    graph.node.extend([*kept, choice])
    return model
