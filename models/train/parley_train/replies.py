"""Replies spoken by the target voice, made for user utterances that exist: `python -m parley_train.replies --count N`.

Reply r answers the user piece `of` (store, index), and every other piece that asks for the same (`Domain.asked`): the values
of the facts are drawn afresh. So a turn of training is: a user's sound, these facts, this reply's words, sound and calls.
"""
from __future__ import annotations

import argparse
import random
from collections import Counter

from .domain import Domain
from .paths import work
from .store import Store
from .styles import PACE
from .teach import SILENT, USERS, progress
from .voices import Piper


def reply_for(domain: Domain, item: dict, rng: random.Random) -> dict | None:
    """Labels of one reply to a user piece; None where nothing is to be said. A third of the fact questions find no fact."""
    if item["intent"] in SILENT:
        return None
    values = dict(domain.asked(item)[1])
    e = domain.exchange(item["intent"], rng, "train", values, user=item["text"])
    absent = e.missing is not None and rng.random() < 0.35
    return {"text": e.missing if absent else e.reply, "facts": [] if absent else e.facts, "absent": e.facts if absent else [],
            "calls": e.calls, "style": e.style, "intent": e.intent, "kind": e.kind}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first reply, as in `teach`")
    args = parser.parse_args()
    domain, store, voice = Domain(), Store(work("teacher", "replies")), Piper()
    users, fresh = {n: Store(work("teacher", n)) for n in USERS}, 0
    done: Counter = Counter(domain.asked(users[x["of"][0]].items[x["of"][1]]) for x in store.items)
    i = len(store.items)
    while i < args.count:
        rng = random.Random(f"reply {args.first + i}")
        if fresh % 200 == 0:
            users = {n: Store(work("teacher", n)) for n in USERS}
            pool = [(n, j) for n in USERS for j in range(len(users[n].items))]
            rng.shuffle(pool)
            pool = [k for k in pool if users[k[0]].items[k[1]]["intent"] not in SILENT]
            asked = {k: domain.asked(users[k[0]].items[k[1]]) for k in pool}
            demand = Counter(asked.values())
            at = 0
        fresh += 1
        # What is asked most and answered least comes next; a reply more is worth less each time.
        name, j = max((pool[(at + n) % len(pool)] for n in range(300)), key=lambda k: demand[asked[k]] / (1 + done[asked[k]]) ** 1.5)
        at += 300
        done[asked[name, j]] += 1
        labels = reply_for(domain, users[name].items[j], rng)
        if labels is None or not labels["text"]:
            continue
        s = voice.say(labels["text"], speed=rng.uniform(1.0, 1.12) * PACE.get(labels["style"], 1.0), noise=rng.uniform(0.2, 0.4))
        store.add(s.samples, s.rate, words=s.words, phones=s.phones, of=[name, j], **labels)
        i += 1
        progress(i, args.count)


if __name__ == "__main__":
    main()
