"""``npreslstm listen``: the emotion of a voice while it speaks."""

import contextlib
import sys

from npreslstm.terminal import say, show

HELP = "hear a microphone, or sound from a pipe, and answer once a second"

EXAMPLES = """\
examples:
  npreslstm listen                              the microphone (needs npreslstm[live]); Ctrl-C ends
  npreslstm listen --devices                    which microphones there are
  npreslstm listen --device 3 --record talk.wav
  npreslstm listen > talk.csv                   a line a second: CSV, or --format jsonl
  npreslstm listen --overlap 5                  long utterances in windows of ten seconds that overlap by five
  arecord -q -f S16_LE -r 16000 | npreslstm listen -
  ffmpeg -v error -f pulse -i default -ac 1 -ar 48000 -f s16le - | npreslstm listen - --rate 48000

Through a pipe comes WAV, or samples of 16 bits, little-endian, without a header. Nothing is sent anywhere,
and nothing is kept without --record.

exit status: 0 at the end of the sound, after --seconds, or after Ctrl-C; 2 bad use, bad input, or a
microphone that gives no more sound; 143 after SIGTERM. Whatever ends it, all that was heard is told first.
"""


def add_arguments(parser):
    source_help = "- for standard input (default: the microphone)"
    parser.add_argument("source", nargs="?", metavar="-", help=source_help)
    parser.add_argument(
        "--weights", metavar="W", help="causal weights: robust (default), mcu, or a file of yours"
    )
    parser.add_argument("--rate", type=int, metavar="HZ", help="of samples without a header (default 16000)")
    parser.add_argument("--channels", type=int, metavar="N", help="the same: how many (default 1)")
    parser.add_argument("--device", metavar="D", help="number of a microphone, or part of its name")
    parser.add_argument("--devices", action="store_true", help="list the microphones and end")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so much sound (default: never)")
    overlap_help = "how much of its last 9.92 s of an utterance the network hears again (default 0)"
    parser.add_argument("--overlap", type=float, default=0.0, metavar="S", help=overlap_help)
    parser.add_argument("--record", metavar="FILE.wav", help="keep what is heard")
    parser.add_argument(
        "--format", choices=("csv", "jsonl"), help="default: bars on a terminal, csv elsewhere"
    )


def execute(args):
    from npreslstm.parallel import one_thread_each

    with one_thread_each():
        return _run(args)


def _run(args):
    from npreslstm.audio.recording import check_recording, recorder
    from npreslstm.streaming_recognizer import StreamingRecognizer

    _check(args)
    if args.devices:
        from npreslstm.audio.microphone import list_devices

        show("\n".join(list_devices()))
        return 0
    read = [*(["/dev/stdin"] if args.source else []), *([args.weights] if args.weights else [])]
    check_recording(args.record, read)
    StreamingRecognizer(args.weights)  # whether the weights will do, before anything is heard
    source = _open(args)
    recognizer = StreamingRecognizer(args.weights, source.rate, args.overlap)
    form = _form(args, recognizer.classes)
    with recorder(args.record, source.rate) as record:
        heard = _Heard(source, recognizer, form, record)
        failure = heard.until_the_end(args.seconds)
    say(heard.summary(args.record))
    if failure:
        raise failure
    return 0


def _check(args):
    from npreslstm.errors import InputError
    from npreslstm.listening import overlap_hops

    if args.source not in (None, "-"):
        remedy = f"for a file: npreslstm predict {args.source}, or npreslstm listen - < {args.source}"
        raise InputError(f"{args.source} is no pipe; expected - or nothing; {remedy}")
    if args.source is None and (args.rate or args.channels):
        raise InputError("--rate and --channels are for sound from a pipe: npreslstm listen - --rate 48000")
    if args.source == "-" and args.device:
        raise InputError("--device is for the microphone; leave out - or --device")
    if args.seconds is not None and not 0 < args.seconds < float("inf"):
        raise InputError(f"--seconds is {args.seconds}; expected more than 0")
    try:
        overlap_hops(args.overlap)
    except InputError as error:
        raise InputError(f"--{error}") from None
    for option, value, most in (("--rate", args.rate, 10**6), ("--channels", args.channels, 64)):
        if value is not None and not 0 < value <= most:
            raise InputError(f"{option} is {value}; expected 1 to {most}")


def _open(args):
    """Where sound comes from: `PipedSound` or `Microphone`."""
    if args.source is None:
        from npreslstm.audio.microphone import Microphone

        number = args.device is not None and args.device.isdecimal()
        return Microphone(int(args.device) if number else args.device)
    from npreslstm.audio.piped import PipedSound
    from npreslstm.audio.sources import standard_input
    from npreslstm.errors import InputError

    source = standard_input()
    if source.isatty():
        raise InputError("- is the terminal; expected sound through a pipe: arecord ... | npreslstm listen -")
    return PipedSound(source, args.rate or 16000, args.channels or 1)


def _form(args, classes):
    from npreslstm.report.seconds import CsvSeconds, Display, JsonSeconds
    from npreslstm.report.text import can_draw

    if args.format is None and sys.stdout.isatty():
        return Display(classes, sys.stdout, can_draw(sys.stdout))
    return (JsonSeconds if args.format == "jsonl" else CsvSeconds)(classes, sys.stdout)


class _Heard:
    """Everything between a source of blocks and the lines about them."""

    def __init__(self, source, recognizer, form, record):
        self._source, self._recognizer, self._form, self._record = source, recognizer, form, record
        self._samples = self._utterances = 0
        self._within = False  # a block

    def until_the_end(self, seconds):
        """Hear all, or as much as that; what went wrong, after all that was heard is told and recorded."""
        try:
            failure = self._hear_all(seconds)
            if not self._within:
                self._tell(self._recognizer.finish())
                self._form.close()
        except KeyboardInterrupt:  # a second one, or one that comes now
            return None
        except SystemExit as ended:
            return ended
        except OSError as error:
            if self._record and error.filename:  # the recording itself
                raise
            return error
        return failure

    def _hear_all(self, seconds):
        """Hear as `until_the_end`; what was wrong with the sound or its source, or SIGTERM, or None."""
        from npreslstm.errors import InputError
        from npreslstm.signals import until_interrupted

        most = None if seconds is None else max(1, round(seconds * self._source.rate))
        try:
            with contextlib.closing(self._source.blocks()) as blocks:
                for block in until_interrupted(blocks):
                    self._hear(block if most is None else block[: most - self._samples])
                    if self._samples == most:
                        break
        except (InputError, SystemExit) as failure:
            return failure
        return None

    def _hear(self, block):
        from npreslstm.audio.activity import as_pcm
        from npreslstm.streaming_recognizer import level_of

        pcm = as_pcm(block)
        self._within = True
        self._samples += len(pcm)
        if self._record:
            self._record.write(pcm)
        self._tell(self._recognizer.push(block))  # which warns of floats of another scale
        self._form.level(level_of(pcm))
        self._within = False

    def _tell(self, seconds):
        for second in seconds:
            self._form.second(second, self._source.overruns)
            self._utterances += sum(event.kind.name == "START" for event in second.events)

    def summary(self, path):
        """What was heard, in a line."""
        recorded = f"; recorded: {path}" if path else ""
        return (
            f"{self._source.name}: {self._samples / self._source.rate:.1f} s at {self._source.rate} Hz,"
            f" {_count(self._utterances, 'utterance')}, {_count(self._source.overruns, 'overrun')}{recorded}"
        )


def _count(n, what):
    return f"{n} {what}{'' if n == 1 else 's'}"
