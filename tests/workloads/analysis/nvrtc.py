"""NVRTC through ctypes: compiles a kernel for a GPU that is not there."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Compiled:
    cubin: bytes
    registers: int
    spill_bytes: int
    """Stores and loads together."""


def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("nvidia")
    assert spec is not None
    roots = list(spec.submodule_search_locations or ())
    found = [path for root in roots for path in Path(root).glob("*/lib/libnvrtc.so*")]
    assert found, "the wheel nvidia-cuda-nvrtc is not installed"
    return ctypes.CDLL(str(found[0]))


def compile_for(source: str, architecture: str, options: tuple[str, ...]) -> Compiled:
    """Raises AssertionError with the compiler's log."""
    nvrtc = _library()
    program = ctypes.c_void_p()
    assert (
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None
        )
        == 0
    )
    arguments = [f"--gpu-architecture={architecture}", "--ptxas-options=-v", *options]
    status = nvrtc.nvrtcCompileProgram(
        program,
        len(arguments),
        (ctypes.c_char_p * len(arguments))(*(a.encode() for a in arguments)),
    )
    log = _text(nvrtc, "ProgramLog", program)
    assert status == 0, log
    cubin = _bytes(nvrtc, "CUBIN", program)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    registers = re.search(r"Used (\d+) registers", log)
    assert spills is not None, log
    assert registers is not None, log
    return Compiled(
        cubin=cubin, registers=int(registers[1]), spill_bytes=int(spills[1]) + int(spills[2])
    )


def _bytes(nvrtc: ctypes.CDLL, what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    buffer = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{what}")(program, buffer) == 0
    return buffer.raw


def _text(nvrtc: ctypes.CDLL, what: str, program: ctypes.c_void_p) -> str:
    return _bytes(nvrtc, what, program).rstrip(b"\0").decode()
