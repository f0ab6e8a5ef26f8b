"""What is in a drawing, and whether its labels keep apart."""

import xml.etree.ElementTree as ET
from itertools import combinations

from mmrbdc.analysis.charts import svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def elements(drawing, name):
    return list(ET.fromstring(drawing).iter(NAMESPACE + name))


def text_boxes(drawing):
    """Return (left, top, right, bottom, words) of every text, moved groups included."""
    boxes = []

    def walk(node, dx, dy):
        moved = node.get("transform", "")
        if moved:
            x, y = moved.removeprefix("translate(").removesuffix(")").split()
            dx, dy = dx + float(x), dy + float(y)
        if node.tag == NAMESPACE + "text":
            words, size = "".join(node.itertext()), float(node.get("font-size"))
            width = svg.text_width(words, size, node.get("font-weight", "normal"))
            share = {"start": 0.0, "middle": 0.5, "end": 1.0}[node.get("text-anchor", "start")]
            left = dx + float(node.get("x")) - share * width
            base = dy + float(node.get("y"))
            boxes.append((left, base - 0.75 * size, left + width, base + 0.2 * size, words))
        for child in node:
            walk(child, dx, dy)

    walk(ET.fromstring(drawing), 0.0, 0.0)
    return boxes


def overlaps(drawing):
    return [
        (a[4], b[4])
        for a, b in combinations(text_boxes(drawing), 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def outside(drawing):
    width, height = map(float, ET.fromstring(drawing).get("viewBox").split()[2:])
    return [
        words
        for left, top, right, bottom, words in text_boxes(drawing)
        if left < -1 or top < -1 or right > width + 1 or bottom > height + 1
    ]
