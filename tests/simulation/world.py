"""Plays a schedule: the steps as things that happen to the issuer, the links and the machines."""

from collections.abc import Callable
from random import Random
from typing import Final
from unittest.mock import patch

from ostraka_consumers.sources._policy import ROOT_MISSING
from ostraka_schemas.limits import MAX_STALENESS
from ostraka_schemas.records import Head, Position

from . import hostile
from .clock import MachineClock, Time
from .history import History
from .issuer import Issuer
from .machine import Machine
from .mint import WRONGS, mint
from .names import CLIENTS, PERMISSIONS, SESSIONS, SUBJECTS
from .oracle import TOLERANCE
from .roots import travelling
from .schedule import JUMPS, PAUSES, Schedule, Step
from .story import Story
from .truth import Change, Minted, Truth

HEARTBEAT: Final = 5
REVOKES: Final = ("token", "subject", "permission", "session", "narrow", "tokens", "client", "token", "everyone")
AHEAD_MAX: Final = 8.0
"""Seconds by which the time of a verifier may be ahead if it is to be FRESH from one heartbeat to the next."""
RECENT: Final = 5
"""Tokens that steps choose from: the newest ones."""
ASKED_AT_ONCE: Final = 50
"""Records in one answer of the second channel."""


class World:
    """One play of one schedule.

    Args:
        story: takes a line for everything that happens, if somebody wants to read it.
    """

    def __init__(self, schedule: Schedule, story: Story | None = None) -> None:
        self.schedule = schedule
        self.story = story
        self.time, self.truth = Time(), Truth()
        clocks = [
            MachineClock(self.time, offset=offset, drift=drift)
            for offset, drift in zip(schedule.offsets, schedule.drifts, strict=True)
        ]
        self.history = History(self.truth, schedule.hold, MAX_STALENESS, len(clocks) - 1)
        self.machines = [
            Machine(who, self.time, clock, self.history, schedule.remember) for who, clock in enumerate(clocks[1:])
        ]
        self.issuer = Issuer(self.time, clocks[0], self.truth, self._publish)
        self.channel = schedule.channel
        self.played = 0
        self._steps: dict[str, Callable[[Step], str | None]] = {
            name[3:].replace("_", " "): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def play(self) -> History:
        """Play every step, then heal the network and let time pass."""
        with (
            patch("ostraka_consumers.trust.chain.HOLD_MAX_RECORDS", self.schedule.hold),
            patch("ostraka_schemas.snapshots._ROOM", self.schedule.room),
        ):
            for number, step in enumerate(self.schedule.steps):
                self._begin(number)
                self._tell(step.kind, self._steps[step.kind](step))
            self._begin(len(self.schedule.steps))
            self._heal()
        return self.history

    def _begin(self, number: int) -> None:
        self.played = number
        for machine in self.machines:
            machine.step = number

    def _tell(self, kind: str, what: str | None) -> None:
        if self.story is not None:
            self.story.tell(self.time.now, kind, what, self.history)

    def _publish(self, raw: bytes, heartbeat: bool) -> None:
        for machine in self.machines:
            machine.link.publish(raw, record=not heartbeat)

    def _machine(self, number: int) -> Machine:
        return self.machines[number % len(self.machines)]

    def _token(self, number: int) -> Minted | None:
        tokens = self.truth.tokens
        return tokens[-1 - number % min(RECENT, len(tokens))] if tokens else None

    # --- the issuer ---

    def do_tick(self, step: Step) -> str:
        """Five seconds as they should be: the issuer sends what there is and beats; whoever can, reads."""
        self.time.advance(HEARTBEAT)
        if self.issuer.up:
            self.issuer.relay()
            self.issuer.beat()
        self._sources()
        return "5 s pass; the issuer sends and beats" if self.issuer.up else "5 s pass; the issuer is down"

    def _sources(self) -> None:
        for machine in self.machines:
            seen = len(self.history.seen)
            self._read(machine)
            if self.channel and self.issuer.up:
                self._answer(machine)
            if len(self.history.seen) == seen:
                machine.look()

    def _read(self, machine: Machine, most: int = 1_000) -> None:
        """What the source of the log does: it reads, and where a root document is missing it looks for it."""
        read = machine.read(most) + machine.read_again()
        link = machine.link
        if link.frozen or link.withholding:
            return
        if any(seen.reason in ROOT_MISSING for seen in read) and machine.bring_roots(machine.log, self._root_documents):
            link.rewind()
            machine.read()

    @property
    def _root_documents(self) -> list[bytes]:
        return [travelling(root) for root in self.issuer.roots]

    def _answer(self, machine: Machine) -> None:
        """The second channel: a snapshot if there is need, what follows, and then the newest heartbeat."""
        sink, roots = machine.channel, self._root_documents
        if sink.wants_snapshot:
            machine.bring_roots(sink, roots)
            machine.bring(self.issuer.parts, sink, roots)
        machine.bring(self.issuer.after(machine.ask())[:ASKED_AT_ONCE], sink, roots)
        machine.bring(self.issuer.beats[-1:], sink, roots)

    def do_beat(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        self.issuer.beat()
        return f"the issuer beats at head {self.issuer.head}"

    def do_slow_beat(self, step: Step) -> str | None:
        """A change is committed after the clock was read and before the head is."""
        if not self.issuer.up:
            return None

        def meanwhile() -> None:
            self._revoke(step)
            self.time.advance(step.c % 4)

        self.issuer.beat(meanwhile)
        return f"the issuer commits something while it beats, head {self.issuer.head}"

    def do_relay(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        crash = step.b % 4 if step.b and step.a % 3 == 0 else None
        self.issuer.relay(crash)
        return f"the issuer sends up to {self.issuer.head}" + (
            "" if crash is None else f" and crashes after {crash} records"
        )

    def do_crash(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        self.issuer.up = False
        return "the issuer crashes"

    def do_start_issuer(self, step: Step) -> str | None:
        if self.issuer.up:
            return None
        self.issuer.up = True
        self.issuer.relay()
        return "the issuer starts and sends what it had not marked as sent"

    def do_revoke(self, step: Step) -> str | None:
        if not self.issuer.up:
            return None
        change = self._revoke(step)
        return None if change is None else f"the issuer commits: {change}"

    def _revoke(self, step: Step) -> Change | None:
        kind, token = REVOKES[step.b % len(REVOKES)], self._token(step.a)
        meant = step.c % 5 != 0 and token is not None
        match kind:
            case "token" | "tokens":
                return None if token is None else self.issuer.commit(kind, token.jti, (str(token.exp),))
            case "subject":
                who = token.sub if meant and token else SUBJECTS[step.a % 2]
            case "session":
                who = token.sid if meant and token else SESSIONS[step.a % 3]
            case "client":
                who = token.client if meant and token else CLIENTS[step.a % 2]
            case "permission":
                who = PERMISSIONS[step.a % 6]
            case "narrow":
                who = token.sub if meant and token else SUBJECTS[step.a % 2]
                return self.issuer.commit(kind, who, PERMISSIONS[step.a % 6 : step.a % 6 + step.c % 3])
            case _:
                who = ""
        return self.issuer.commit(kind, who)

    def do_rotate(self, step: Step) -> str | None:
        change = self.issuer.rotate() if self.issuer.up else None
        return None if change is None else f"the issuer commits: {change}"

    def do_compromise(self, step: Step) -> str | None:
        change = self.issuer.compromise() if self.issuer.up else None
        return None if change is None else f"the issuer commits: {change}"

    def do_change_root(self, step: Step) -> str | None:
        flags = {"root_key": step.a % 2 == 0, "feed_key": step.b % 2 == 0, "both": step.c % 2 == 0}
        change = self.issuer.change_root(epoch=False, **flags) if self.issuer.up else None
        return None if change is None else f"the operators sign a root document: {change.root}"

    def do_new_epoch(self, step: Step) -> str | None:
        root_key = step.a % 2 == 0
        change = self.issuer.change_root(epoch=True, root_key=root_key, feed_key=True) if self.issuer.up else None
        return None if change is None else f"the operators open a new epoch: {change.root}"

    def do_refill(self, step: Step) -> str | None:
        """The issuer finds its topic empty or cut, and sends everything again."""
        if not self.issuer.up:
            return None
        for raw in self.issuer.feed[: self.issuer.marked]:
            self.issuer.send(raw)
        return "the issuer sends everything again"

    # --- tokens ---

    def do_mint(self, step: Step) -> str | None:
        return self._mint(step.a, "") if self.issuer.up else None

    def do_forge(self, step: Step) -> str | None:
        return self._mint(step.a, WRONGS[step.b % len(WRONGS)])

    def _mint(self, seed: int, wrong: str) -> str | None:
        token = mint(self.issuer, len(self.truth.tokens) + 1, seed, wrong=wrong)
        if token is None:
            return None
        self.truth.tokens.append(token)
        whose = f"{token.sub}, session {token.sid}, client {token.client}, {' '.join(token.permissions)}"
        return f"{token}: {whose}; minted at {token.fv} by key {token.key}, lives {token.exp - token.iat} s"

    def do_present(self, step: Step) -> str | None:
        token = self._token(step.b)
        if token is None:
            return None
        limit = 15.0 if step.c % 6 == 5 else float("inf")
        self._machine(step.a).present(token, limit)
        return f"{token} is presented to v{step.a % len(self.machines) + 1}"

    def do_present_all(self, step: Step) -> str | None:
        for machine in self.machines:
            for token in self.truth.tokens[-RECENT:]:
                machine.present(token)
        return "the newest tokens are presented to all"

    # --- the verifiers ---

    def do_read(self, step: Step) -> str:
        machine = self._machine(step.a)
        self._read(machine, 1 + step.b % 4 if step.c % 2 else 1_000)
        return f"v{machine.who + 1} reads"

    def do_ask(self, step: Step) -> str | None:
        if not self.channel or not self.issuer.up:
            return None
        self._answer(self._machine(step.a))
        return f"v{step.a % len(self.machines) + 1} asks the second channel"

    def do_ask_old(self, step: Step) -> str | None:
        """An old copy of everything, genuine and consistent, answers instead of the issuer."""
        if not self.issuer.beats:
            return None
        machine = self._machine(step.a)
        raw = self.issuer.beats[step.b % len(self.issuer.beats)]
        head = self.truth.beats[raw].head.position
        records = self.issuer.after(None)
        old = [record for record in records if (at := self.truth.records[record].position) and at <= head]
        if step.c % 2:
            old = self._old_parts(head) + old[step.c % 7 :]
        machine.bring([*old, raw], machine.channel, self._root_documents if step.c % 3 else [])
        return f"v{machine.who + 1} is answered by an old copy, at {head}"

    def _old_parts(self, until: Position) -> list[bytes]:
        """The newest snapshot up to there."""
        heads = [part.head.position for part in self.truth.parts.values() if part.head.position <= until]
        return [raw for raw, part in self.truth.parts.items() if heads and part.head.position == max(heads)]

    def do_snapshot(self, step: Step) -> str | None:
        """The issuer sends a snapshot; sometimes parts of it are lost on the way."""
        if not self.issuer.up:
            return None
        self.issuer.sequence()
        self.issuer.snapshot()
        return f"the issuer sends a snapshot in {len(self.issuer.parts)} parts at {self.issuer.head}"

    def do_bring_snapshot(self, step: Step) -> str | None:
        machine, parts = self._machine(step.a), list(self.issuer.parts)
        if not parts:
            return None
        Random(step.b).shuffle(parts)
        if step.b % 4 == 0:
            parts.pop()
        roots = self._root_documents
        if step.c % 4:
            machine.bring_roots(machine.channel, roots)
        machine.bring(parts, machine.channel, roots if step.c % 3 else [])
        return f"v{machine.who + 1} is given {len(parts)} of {len(self.issuer.parts)} parts of the newest snapshot"

    def do_bring_roots(self, step: Step) -> str | None:
        """Root documents come by themselves, too early, again, or some of them only."""
        documents = self._root_documents
        if not documents:
            return None
        machine = self._machine(step.a)
        for raw in documents[step.b % len(documents) :]:
            machine.deliver(raw, machine.channel)
        return f"v{machine.who + 1} is given root documents from version {step.b % len(documents) + 1}"

    def do_restart(self, step: Step) -> str:
        machine = self._machine(step.a)
        if step.b % 2:
            machine.clock.reboot(float(step.c % 1_000))
        disk, what = machine.disk, ("its disk", "no disk", "an older copy of its disk", "a damaged disk")[step.c % 4]
        found = (disk, None, disk.older(step.b), disk.damaged(step.b))[step.c % 4]
        machine.start(found)
        if found is None or step.b % 3:
            machine.link.rewind()
        return f"v{machine.who + 1} starts anew with {what}"

    # --- the bus ---

    def do_drop(self, step: Step) -> str | None:
        return self._on_link(step, "loses", self._machine(step.a).link.drop(step.b))

    def do_repeat(self, step: Step) -> str | None:
        return self._on_link(step, "repeats", self._machine(step.a).link.repeat(step.b, step.c))

    def do_shuffle(self, step: Step) -> str:
        count = self._machine(step.a).link.shuffle(step.b)
        return f"the bus puts {count} entries for v{step.a % len(self.machines) + 1} into another order"

    def do_replay(self, step: Step) -> str | None:
        old = self.truth.sent if step.c % 3 else self.issuer.beats
        if not old:
            return None
        raw = old[step.b % len(old)]
        self._machine(step.a).link.insert(raw, step.c)
        return self._on_link(step, "sends again", raw)

    def do_corrupt(self, step: Step) -> str | None:
        link = self._machine(step.a).link
        return self._on_link(step, "alters", link.alter(step.b, lambda raw: hostile.flipped(raw, step.c * 7)))

    def do_truncate(self, step: Step) -> str | None:
        link = self._machine(step.a).link
        return self._on_link(step, "cuts short", link.alter(step.b, lambda raw: hostile.truncated(raw, step.c)))

    def do_rogue(self, step: Step) -> str | None:
        if not self.issuer.feed:
            return None
        name = list(hostile.ROGUES)[step.b % len(hostile.ROGUES)]
        self._machine(step.a).link.insert(hostile.ROGUES[name](self.issuer, Random(step.c)), step.c)
        return f"somebody sends {name} to v{step.a % len(self.machines) + 1}"

    def do_forged_root(self, step: Step) -> str | None:
        if not self.issuer.roots:
            return None
        raw, version = hostile.forged_root(self.issuer, step.b)
        self.truth.forged_roots[raw] = version
        self._machine(step.a).link.insert(raw, step.c)
        return f"somebody sends v{step.a % len(self.machines) + 1} a forged root document of version {version}"

    def do_retention(self, step: Step) -> str:
        gone = self._machine(step.a).link.forget(1 + step.b % 12)
        return f"retention takes {gone} entries from v{step.a % len(self.machines) + 1}"

    def do_withhold(self, step: Step) -> str:
        link = self._machine(step.a).link
        link.withholding = not link.withholding
        what = "withholds records from" if link.withholding else "no longer withholds records from"
        return f"the bus {what} v{step.a % len(self.machines) + 1}"

    def do_freeze(self, step: Step) -> str:
        link = self._machine(step.a).link
        link.frozen = not link.frozen
        what = "freezes the link of" if link.frozen else "lets everything through again to"
        return f"the bus {what} v{step.a % len(self.machines) + 1}"

    def do_channel(self, step: Step) -> str:
        self.channel = not self.channel
        return "the second channel works" if self.channel else "the second channel is cut"

    def _on_link(self, step: Step, what: str, raw: bytes | None) -> str | None:
        if raw is None or self.story is None:
            return None
        return f"the bus {what} {self.story.name(raw, self.truth)}, to v{step.a % len(self.machines) + 1}"

    # --- time ---

    def do_pause(self, step: Step) -> str:
        seconds = PAUSES[step.a % len(PAUSES)]
        self.time.advance(seconds)
        for machine in self.machines:
            machine.look()
        return f"{seconds} s of silence"

    def do_step_clock(self, step: Step) -> str:
        clock, jump, name = self._clock(step), JUMPS[step.b % len(JUMPS)], self._clock_name(step)
        clock.step(jump)
        return f"the clock of {name} jumps by {jump} s; it is {clock.error:+.1f} s off"

    def do_right_clock(self, step: Step) -> str:
        self._clock(step).set_right()
        return f"the clock of {self._clock_name(step)} is set right"

    def _clock(self, step: Step) -> MachineClock:
        number = step.a % (len(self.machines) + 1)
        if number == 0:
            return self.issuer.clock
        machine = self.machines[number - 1]
        machine.stepped = True
        machine.look()
        return machine.clock

    def _clock_name(self, step: Step) -> str:
        number = step.a % (len(self.machines) + 1)
        return f"v{number}" if number else "the issuer"

    # --- a thief with the feed key ---

    def do_stolen_record(self, step: Step) -> str | None:
        """A record after the verifier's head that the issuer never wrote."""
        machine = self._machine(step.a)
        return None if machine.head is None else self._steal(machine, machine.head, step)

    def do_stolen_fork(self, step: Step) -> str | None:
        """Another content for a position that the issuer has filled."""
        if len(self.issuer.feed) < 3:
            return None
        changes = list(self.truth.records.values())
        before = changes[step.b % (len(changes) - 1)]
        assert before.position is not None
        return self._steal(self._machine(step.a), Head(before.position, self.truth.hashes[before.position]), step)

    def _steal(self, machine: Machine, head: Head, step: Step) -> str:
        raw, after = hostile.stolen_record(self.issuer, head, step.c)
        self.truth.stolen.records[raw] = (after, hostile.STOLEN)
        machine.link.insert(raw, step.b)
        return f"the thief sends v{machine.who + 1} a record of his own at {after.position}"

    def do_stolen_heartbeat(self, step: Step) -> str | None:
        """Beat for the verifier's head, so that it believes it has everything; now, or as far ahead as it takes."""
        machine = self._machine(step.a)
        if machine.head is None:
            return None
        iat = self.issuer.now + (0, 0, 5, 9)[step.b % 4]
        if step.b % 5 == 0:
            iat = int(machine.ear.now(machine.clock.now())) + TOLERANCE
        self._beat_for(machine, machine.head, iat)
        return f"the thief beats for v{machine.who + 1} at {machine.head.position}, iat {iat}"

    def _beat_for(self, machine: Machine, head: Head, iat: int) -> None:
        raw, beat = hostile.stolen_heartbeat(self.issuer, head, iat)
        self.truth.stolen.beats[raw] = beat
        machine.deliver(raw)

    def do_stolen_snapshot(self, step: Step) -> str | None:
        """A snapshot somewhat further on in which nothing is revoked, and a heartbeat that vouches for it."""
        machine = self._machine(step.a)
        if machine.head is None:
            return None
        epoch, seq = machine.head.position
        head = Head(Position(epoch, seq + 1 + step.b % 4), bytes([step.b % 256]) * 32)
        raw, part = hostile.stolen_part(self.issuer, head)
        self.truth.stolen.parts[raw] = part
        machine.deliver(raw)
        self._beat_for(machine, head, self.issuer.now)
        return f"the thief gives v{machine.who + 1} a snapshot of his own at {head.position}"

    # --- the end ---

    def _heal(self) -> None:
        """Everything works again: clocks are right, nothing is lost, both channels are open. Then time passes.

        If a feed key was stolen, the operators have opened a new epoch with another one.
        """
        for machine in self.machines:
            machine.clock.set_right()
            machine.stepped = True
        self.issuer.clock.set_right()
        self.issuer.up, self.channel = True, True
        # A clock that was fast has signed the future; until that has come, nothing newer can be said.
        self.time.advance(max(0, self.truth.signed_until - self.issuer.now))
        self.issuer.sequence()
        if self.schedule.thief:
            self.issuer.change_root(epoch=True, root_key=False, feed_key=True)
        self.issuer.relay()
        self.issuer.snapshot()
        for machine in self.machines:
            machine.link.heal(self.truth.sent)
        self._let_time_pass()
        if any(self._is_ahead(machine) for machine in self.machines):
            # Clocks that were fast have pushed its time ahead: it believes again what agrees for a minute.
            for _ in range(14):
                self.do_tick(Step("tick"))
            self.time.advance(1)
        self._tell("heal", "the network heals; the issuer sends everything and beats; time passes")
        self._last_words()

    @staticmethod
    def _is_ahead(machine: Machine) -> bool:
        at = machine.clock.now()
        return machine.ear.now(at) > at.wall + AHEAD_MAX

    def _let_time_pass(self) -> None:
        """A heartbeat interval, and a second."""
        for _ in range(2):
            self.time.advance(HEARTBEAT / 2)
            if any(machine.head != self.issuer.head for machine in self.machines):
                self._sources()
        self.issuer.beat()
        self._sources()
        self.time.advance(1)

    def _last_words(self) -> None:
        self._mint(7, "")
        self.history.end = self.issuer.head
        for machine in self.machines:
            self.history.healed[machine.who] = machine.look()
            for token in self.truth.tokens[-2 * RECENT :]:
                machine.present(token)
        self._tell("the end", "a new token, and every newer one is presented to all")
