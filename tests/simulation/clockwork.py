"""Time, and clocks that are set."""

from .clock import MachineClock
from .motifs import Step
from .schedule import JUMPS, PAUSES
from .stage import Stage


class Clockwork(Stage):
    """Steps of a schedule; each says what happened, or nothing if there was nothing to do."""

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
