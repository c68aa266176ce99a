"""Segments as each format wrote them: what an older Kring left behind is read for ever, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import zlib
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest

from kring.errors import NotFound
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids, decision_raw
from kring.metrics.packing import packed, unpacked
from kring.record.decision import Closed, Decisions, Outcomes, PackedDecisions
from kring.record.event import Segment
from kring.record.exposure import Exposure
from kring.stores.file import open_log
from kring.stores.reading import read_log
from kring.stores.segment import FORMAT, HEAD
from kring.testing.decision_log import START, SYSTEM

FIRST: Final = (
    b"c-mc1u}Z^G6iq5|a8f}K1aS}?#l^Kw7O5!s1Mwxfsn5Q?ly~1t%~-*`%?C(h(zLWcAt-g|pkLrxzre}CrZJ!%xNy(Ca5(2wFHX)X"
    b"r{@(-*D~mufr?7lAor8%g)6e_Y(6Ee!1BuO=Jrv+wuU>S$@<da>|I++F+d58{z72jgFx!>*f$TxgkuW?IHnb3JSL)%FzQ26r`$<B"
    b"&M1cmB3}#fh?i2zn@ZwsEWB2z>4}6J8AjxB;3=6s+T*71EMiecWe`rwZ@Hgo`6FLOj7Z>iU@CMH+e0}mEDv46m__V*FRdve9Bk{|"
    b"z975?LsZr^*b>7?Mk*EH&NFoS7LoQ<FPR&`PS#1*#qpx69Hk%IMo#tpy)V;<E<a!H{xtF{pb=9CyU(lIKcqfk3b6Z>qNjuni3{L-"
    b"1CUdRPy"
)
SECOND: Final = (
    b"c-oy&%}X0W6rar!#nOX%kV0wcq0nOqhzAklsiD{p@E_RD?!MJ&)|oILNf&z1(%wy=_pJMopnpPp2sG*;2mK4Y>R;f=Lua!I#2^Sh"
    b"7-rtgoA-Vnn_KTcRX%*KpaROmKt-X51cLs&*xd5Cq3^Er%3rgXdGh+%%Z+jNy!-0tbkSV7x<m`92!w>)WZ0ln2QCPsQQayXV=5ZJ"
    b"!L{rl%OlKpW1rL^t`h2|jQWJaA(rRk<{>Slgw~W4KO)W=Eo8(JzR6aIdmW}^_OO3k<IKi3@revtgYrd=XHdS*4@W+hK%Kx+!i^m!"
    b"<X{ZB>tWxwu~TiQ+X{16>>JI5W4aApq3o~VNYM&qs8SA|=5UbMSUNlHSOXCUnI@SQ?}l3CQ5eB4=Be@a&8<}ozucVtx}(Sh!D2*Q"
    b"(d^HosYvVCS0I}IQo$5=Aoc*<Y^15%uId7FYUJE#<YDjR_ur3f$$z{JIn4=>b0IY+UHF-}GN?iHos?o1OWZe+QAnzkHE16t4W^as"
    b"#o2aWA-Y?roeb@JtsH+|^Op0^Pc^?XLVN3aU!NK`Ve;$)Chv7d=C*U9k!_U{k8mMphtBr?18VaTP5"
)
THIRD: Final = (
    b"c-qZV&1(}u6rW9+hDt$+JqSWtK@h>B0gswU4;HB((2L+D%<j&%<8Ef-%xu;L53MM8%mzGp$+{njwg>+L2^i=h2fcc*XVHTfy?Jmp"
    b"o0Lt62tD~=nSHx&-ur#<Ha2hFUB7*A9b`cq638(NbM*7%1ASvtqmuacOFS7cj`<Vk&lGQrv$Lf&?eoE-E9xOQ9WjS-R11d<It@e_"
    b"Hi_S;mi8cFHlj$a%1)g7kk$eNH&CEsqDCe$FhQ>&|2S^$kxYb1-Qw)2Pffc8q=2Kxyyd}O$Fz9-V|TAkO&QAAz}#sKDxVTOgUZ+B"
    b"<*flZB8pSBm>MW1<AX8et_BT5hKk;fwk$|hwkx?Ig=7nLnI%6&3TG{kdsak|CO9-h8FFR29S9(-8R*Di&4?jrAhj7Q6f1Lcs9X}6"
    b"5s6%qO4l#^uI9e|SS>%F&?iMV=VO(*{Zn8nq6Rc9#M}=NGcBs1Kto84M+&Q?HBpeA8o4kU`3~;)_vg>OzkCP^$227&odUVwk!;$N"
    b"XQ9fSI`W_3QlLT(`&l4mLY<g4>4VTVg|59IK4uky$wJ|)C(kr?eEFJoHMzVf_*DSdDT}i_H7;d&{vVd_bVgRU6QaIcErlAUjOT|w"
    b"_tFjvXC*1M1G$kTOG%ntF4*_K9CX9w<L^M1af)CKsVT*m{_`zpwS9fHG!n`kLW|X!6V2_^KIBJqib*<m=OuYn_&&IF@x|Zvp*VXV"
    b"B!AnqU0<>I8x_UM2{GNpBPE6a+%7X$Fkiv!h=uF%35<UL)e*n-"
)
FOURTH: Final = (
    b"c-qZW&ui0A98cPHWx9jR34*Xq5S-|o6_47viO#W2WfsI!c}ZT{*zBdg_tIMMu!(}+nt*ul(wZNQ+d%&UDO%W}2fcc5XVHU-c=O;(la6d|2s`"
    b";8ynK`QzTeM}_kFVqGuNi)u1|A4oIiLjL3D*e<L&p=*##N%?AtH)#JKM0-FNKp(8X?aBsC>}T)%rp+Taelq(UfMbUFzdC5VZlA*+;4tpY^K5"
    b"JM>|RQ%Wic+pms60{2nl3Wd`3W6^Hecw%9M=@7HMV*od7S_rp$J-R%qh=j68=6l2AIqyntO-C+RE1W|_QZz(PkZ8X@Uo%;3XxdJ>O`_djnH-"
    b"%vL^#o6@XZ%xj7wRi7fMmg8|AxkLbc3C{kk9X<c_Qlo^MrBLFJqYc>Nys&)ZZNYy0}s8Fi<3i--h=_nVBSV$rfg#3l$zq5%i-^S99w&)X~o3"
    b"Ip#7_9@`w&9k5szYMDbBU&75!y0@l3y~;(oV4j@ogph!jiAST5GNM=$r8kZeWk51f(M%`|2nj_2i)=(Ml0o_mz|_0Sa1ij*mG7q?J*NbIKai"
    b"wQ2j)P7ArM3z@HVVMk-To6pPVg3bMm-vq}krP-X`RxV<B@*kEjHA1Uv0Z~iHrW{$pgeE&aH=_<SXL&x-1Bp<Q!61we50r0xTKAmcz4w4eD28"
    b"AWN)g2e|MM;|YgS<_6$)i^p!sU~_eeR?56O_uP!RUaKSj?6zP3-Dc)VLb4DH+xyp`9=h9&Csr38KDn3zWYrV<?hhDWp!g^nm>lZ8>Ie_`}{("
    b"~UUV#W)&b{IUN~^W?Mi?VnF}!#KK<g9u_knY~FzRzZ%K9?5IP)67>_&?(iBR{~f8hzaS600CTaau`C?U``Va5!1POV{Rt%Dl@q-eL2H!;q3f"
    b"m=F-(I@>4H7Ld0Z;=4{QSEThV#U!ypi8ut$kh0-5do(`J"
)

DECIDED: Final = Decisions(
    system=SYSTEM,
    version="v_1",
    answered_by="v_1",
    arm="live",
    kind="online",
    at=START,
    n=2,
    inputs={"row": [0, 1], "text": ["a", None]},
    outputs={"probability": [0.25, 0.75]},
    latency_us=100,
    guards={1: ["range"]},
    subjects=["t", "u"],
)
KNOWN: Final = Outcomes(system=SYSTEM, at=START + 5, ids=[bytes(16)], values=[True])
SCORED: Final = PackedDecisions(
    system=SYSTEM,
    version="v_1",
    answered_by="v_1",
    arm="live",
    kind="batch",
    at=START + 9,
    n=3,
    inputs={"row": packed(np.arange(3)), "word": packed(np.array([0, 1, 0]), words=["a", "b"])},
    outputs={"probability": packed(np.array([0.5, 0.25, 0.125]))},
    latency_us=7,
    batch="b_1",
    first=7,
)
STREAMED: Final = msgspec.structs.replace(DECIDED, kind="streamed", at=START + 20, keys=["", "k-1"], sealed=["text"])
CUT: Final = Closed(
    system=SYSTEM,
    at=START + 30,
    ids=[bytes(15) + b"\1"],
    how=["cut"],
    delivered=[12],
    outputs={"text": ["so it is"]},
    subjects=["t"],
    sealed=["text"],
)
SHOWN: Final = Exposure(
    system=SYSTEM,
    at=START + 40,
    generation=7,
    flags=["shop.arm", "button"],
    variants=["canary", "green"],
    reasons=["SPLIT", "TARGETING_MATCH"],
    subjects=["t", "t"],
    versions=["v_2", ""],
    trials=["", "tr_1/treated"],
)
HELD: Final = {
    1: (FIRST, [DECIDED, KNOWN]),
    2: (SECOND, [DECIDED, KNOWN, SCORED]),
    3: (THIRD, [DECIDED, KNOWN, SCORED, STREAMED, CUT]),
    4: (FOURTH, [DECIDED, KNOWN, SCORED, STREAMED, CUT, SHOWN]),
}


def segment_of(format: int) -> bytes:
    """The bytes of a segment as that format wrote them."""
    return zlib.decompress(base64.b85decode(HELD[format][0]))


def written(format: int) -> list[Decisions | Outcomes | Closed | Exposure]:
    """The records in it, as they are read."""
    return [unpacked(one) if isinstance(one, PackedDecisions) else one for one in HELD[format][1]]


@pytest.fixture(params=list(HELD))
def format(request: pytest.FixtureRequest, tmp_path: Path) -> int:
    """A log that holds one open segment of that format."""
    (tmp_path / "0-1.log").write_bytes(segment_of(request.param))
    return int(request.param)


def test_every_format_is_read(tmp_path: Path, format: int) -> None:
    log = read_log(tmp_path, system=SYSTEM)
    found = list(log.read())
    assert [logged.record for logged in found] == written(format)
    for logged in found:
        if isinstance(logged.record, Decisions):
            ids = decision_ids(logged.place, logged.record.n)
            assert [log.find(id) for id in ids] == [(logged.record, row) for row in range(logged.record.n)]


def test_an_older_segment_is_complete_and_the_newest_goes_on(tmp_path: Path, format: int) -> None:
    data = segment_of(format)
    log = open_log(tmp_path, files=LocalFiles(), system=SYSTEM)
    place = log.append(DECIDED)
    log.close()
    assert place.segment == (1 if format == FORMAT else 2)
    assert (tmp_path / "0-1.log").read_bytes()[: len(data)] == data
    if format != FORMAT:
        (sealed,) = (one for one in open_log_and_seal(tmp_path) if one.number == 1)
        assert sealed.digest == hashlib.sha256(data).hexdigest()
    assert [logged.record for logged in read_log(tmp_path, system=SYSTEM).read()] == [*written(format), DECIDED]


def open_log_and_seal(folder: Path) -> list[Segment]:
    log = open_log(folder, files=LocalFiles(), system=SYSTEM)
    sealed = log.seal()
    log.close()
    return sealed


def test_this_format_is_written_as_it_was(tmp_path: Path) -> None:
    log = open_log(tmp_path, files=LocalFiles(), system=SYSTEM)
    for record in HELD[FORMAT][1]:
        log.append(record)
        log.commit()
    log.close()
    assert (tmp_path / "0-1.log").read_bytes() == segment_of(FORMAT)
    assert [HEAD.unpack_from(segment_of(each))[1] for each in HELD] == list(HELD)


def test_how_a_stream_ended_is_found_with_its_writer(tmp_path: Path) -> None:
    log = open_log(tmp_path, files=LocalFiles(), system=SYSTEM, writer=3)
    first, second = decision_ids(log.append(STREAMED), 2)
    log.commit()
    reader = read_log(tmp_path, system=SYSTEM)
    assert reader.closed(first) is None
    raw = [decision_raw(id) for id in (second, first)]
    log.append(Closed(system=SYSTEM, at=START + 50, ids=raw, how=["cut", "stop"], delivered=[3, 99]))
    log.close()
    found = {id: reader.closed(id) for id in (first, second)}
    told = {id: (one[0].how[one[1]], one[0].delivered[one[1]]) for id, one in found.items() if one}
    assert told == {second: ("cut", 3), first: ("stop", 99)}
    with pytest.raises(NotFound):
        reader.closed("d_nobody")
