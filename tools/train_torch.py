#!/usr/bin/env python3
"""A PyTorch twin of the Chorus network and trainer.

It trains the same blueprint on the same priors as the Swift trainer, reads and writes the same
weight files, and computes the network's raw outputs for given inputs, so that the two sides can
be compared number by number. It needs only torch and numpy.

    python train_torch.py train --prior gp --tasks 50000 --out gp-first
    python train_torch.py evaluate --load gp-first/model.safetensors --prior gp
    python train_torch.py forward --load model.safetensors --input in.safetensors --output out.safetensors
"""

import argparse
import json
import math
import os
import struct
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

FORMAT = "chorus-model-1"

DEFAULT_BLUEPRINT = {
    "version": 1, "width": 128, "layers": 6, "heads": 4, "feedForward": 256,
    "embedderHidden": 256, "headHidden": 256, "components": 20, "sigmaFloor": 0.001,
    "inputDimensions": 1, "frequencies": 6, "norm": "pre", "bufferPositions": 0,
    "scaling": "none", "neighbours": 0, "localComponents": 0,
}


# ---------------------------------------------------------------------------------------------
# Tensor files
# ---------------------------------------------------------------------------------------------

DTYPES = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "I32": np.int32, "I64": np.int64,
          "U8": np.uint8, "BOOL": np.bool_}


def read_tensors(path):
    """Returns ({name: array}, {metadata key: string}) of a safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 8:
        raise SystemExit(f"{path}: too short for a safetensors file")
    (length,) = struct.unpack_from("<Q", data)
    if 8 + length > len(data):
        raise SystemExit(f"{path}: the header runs past the end of the file")
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in DTYPES:
            raise SystemExit(f"{path}: {name} has the unknown element type {entry['dtype']}")
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + length + begin:8 + length + end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).copy()
    return tensors, metadata


def write_tensors(path, tensors, metadata):
    """Writes arrays (as f32 unless they are integers) with string metadata; names in sorted order."""
    header, chunks, offset = {"__metadata__": {k: str(v) for k, v in metadata.items()}}, [], 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        if array.dtype in (np.int32, np.int64):
            array, kind = array.astype("<i4"), "I32"
        else:
            array, kind = array.astype("<f4"), "F32"
        chunk = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    temporary = path + ".part"
    with open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for chunk in chunks:
            file.write(chunk)
    os.replace(temporary, path)


# ---------------------------------------------------------------------------------------------
# Splines through the nearest rows
# ---------------------------------------------------------------------------------------------

# Generalised covariances sign |h|^power and how many monomials a function may have besides.
SPLINES = ((1, -1.0, 1), (3, 1.0, 2), (5, -1.0, 3))
SPLINE_FEATURES = 2 * len(SPLINES) + 1
SPLINE_NOISES = (1e-7, 1e-5, 1e-3, 1e-1, 1e1)


class Splines:
    """What the rows near a point say of it: the twin of Chorus's LocalSpline, for one input.

    x and y are the rows [T, R], `contexts` of which settle how much noise there is.
    """

    def __init__(self, x, y, contexts, neighbours):
        self.x, self.y, self.neighbours = x.double(), y.double(), neighbours
        T, n = x.shape[0], contexts
        self.noise = torch.full((len(SPLINES), T), 1e-5, dtype=torch.float64, device=x.device)
        if n == 0:
            return
        # Sorted by place, and by value where places are the same.
        order = self.y[:, :n].argsort(dim=-1, stable=True)
        order = order.gather(1, self.x[:, :n].gather(1, order).argsort(dim=-1, stable=True))
        count = min(24, n)
        judges = order[:, (2 * torch.arange(count) + 1) * n // (2 * count)]
        seen = torch.arange(x.shape[1], device=x.device).expand(count, -1) < n
        rows = self.nearest(self.x.gather(1, judges), seen)
        reach = rows[3]
        typical = reach.sort(-1).values[:, count // 2]
        once = min(1.0, n / (count * min(neighbours, n)))
        choices = torch.tensor(SPLINE_NOISES, dtype=torch.float64, device=x.device)
        for index, form in enumerate(SPLINES):
            merits = torch.stack([self.fit(form, rows, choice * (typical[:, None] / reach) ** form[0])[3]
                                  .sum(-1) for choice in SPLINE_NOISES], -1)
            mean = (F.softmax(once * merits, -1) * choices.log()).sum(-1)
            self.noise[index] = mean.exp() * typical ** form[0]

    def nearest(self, points, seen):
        """Steps to, values and presence of the rows nearest to points [T, M] among those that point m
        sees (seen [M, R] or [T, M, R]), and the farthest of their distances, which is the unit of steps."""
        T, M = points.shape
        R = self.x.shape[1]
        seen = seen.expand(T, M, R)
        distance = (self.x[:, None, :] - points[..., None]).abs().masked_fill(~seen, math.inf)
        distance, index = distance.topk(min(self.neighbours, R), -1, largest=False)
        there = distance.isfinite()
        reach = distance.masked_fill(~there, 0).amax(-1) if R else torch.zeros_like(points)
        reach = torch.where(reach > 0, reach, torch.ones_like(reach))
        steps = self.x[:, None, :].expand(T, M, R).gather(2, index) - points[..., None]
        values = self.y[:, None, :].expand(T, M, R).gather(2, index)
        return (steps / reach[..., None]).masked_fill(~there, 0), values.masked_fill(~there, 0), there, reach

    def fit(self, form, rows, noise):
        """Value, variance, variance of the noise, and restricted log-likelihood up to a constant; all 0, 1, 1, 0
        where rows are too few."""
        power, sign, q = form
        u, y, there, _ = rows
        k, n = u.shape[-1], there.sum(-1)
        matrix = u.new_zeros(*u.shape[:-1], k + q, k + q)
        pairs = there[..., :, None] & there[..., None, :]
        diagonal = torch.where(there, (noise + 1e-8)[..., None].expand_as(u), torch.ones_like(u))
        matrix[..., :k, :k] = sign * (u[..., :, None] - u[..., None, :]).abs() ** power * pairs
        matrix[..., :k, :k] += torch.diag_embed(diagonal)
        p = torch.stack([u ** m for m in range(q)], -1) * there[..., None]
        matrix[..., :k, k:], matrix[..., k:, :k] = p, p.transpose(-1, -2)
        matrix[..., k:, k:] = -1e-9 * torch.eye(q, dtype=u.dtype, device=u.device)
        here = u.new_zeros(*u.shape[:-1], k + q)
        here[..., :k], here[..., k] = sign * u.abs() ** power * there, 1
        both = torch.stack([here, F.pad(y, (0, q))], -1)
        answers = torch.linalg.solve(matrix, both)
        value = (answers[..., :k, 0] * y).sum(-1)
        error = -(here * answers[..., 0]).sum(-1)
        rest = (answers[..., :k, 1] * y).sum(-1).clamp_min(0)
        freedom = n - q
        factor = rest / freedom.clamp_min(1)
        merit = -0.5 * torch.linalg.slogdet(matrix)[1] - 0.5 * freedom * rest.clamp_min(1e-30).log()
        enough = freedom > 0
        one = torch.ones_like(value)
        return (torch.where(enough, value, 0 * one).clamp(-4, 4),
                torch.where(enough, factor * (error.clamp_min(0) + noise) + 1e-6, one).clamp(max=64),
                torch.where(enough, factor * noise + 1e-6, one).clamp(max=64),
                torch.where(enough, merit, 0 * one))

    def tell(self, points, seen):
        """Features [T, M, SPLINE_FEATURES], centres and units [T, M] of points."""
        rows = self.nearest(points.double(), seen)
        fits = [self.fit(form, rows, noise[:, None] / rows[3] ** form[0])
                for form, noise in zip(SPLINES, self.noise)]
        centre, unit = fits[1][0], fits[1][1].sqrt()
        away = [((fits[i][0] - centre) / unit).clamp(-8, 8) / 4 for i in (0, 2)]
        logs = [fit[1].log() / 4 for fit in fits]
        return torch.stack([centre, *logs, *away, fits[1][2].log() / 4], -1), centre, unit

    def judge(self, seen):
        """Features [T, R, SPLINE_FEATURES + 2] of the rows themselves."""
        features, centre, unit = self.tell(self.x, seen)
        distance = ((self.y - centre) / unit).clamp(-8, 8)
        return torch.cat([features, torch.stack([distance / 4, (distance.abs() + 0.05).log() / 2], -1)], -1)


# ---------------------------------------------------------------------------------------------
# The network
# ---------------------------------------------------------------------------------------------

def shapes(blueprint):
    """Every parameter's path and shape, in one fixed order."""
    b = blueprint
    d, h, ff, D = b["width"], b["embedderHidden"], b["feedForward"], b["inputDimensions"]
    out = {}
    for side, features in (("x", 2 * D + 2 * D * b["frequencies"]), ("y", 1)):
        out[f"embed.{side}.in.weight"] = (features, d)
        out[f"embed.{side}.in.bias"] = (d,)
        out[f"embed.{side}.up.weight"] = (d, h)
        out[f"embed.{side}.up.bias"] = (h,)
        out[f"embed.{side}.down.weight"] = (h, d)
        out[f"embed.{side}.down.bias"] = (d,)
    if b["neighbours"] > 0:
        out["embed.near.weight"] = (SPLINE_FEATURES, d)
        out["embed.row.weight"] = (SPLINE_FEATURES + 2, d)
    for name in ("role.context", "role.buffer", "role.target", "context.empty"):
        out[name] = (d,)
    if b["bufferPositions"] > 0:
        out["position.buffer"] = (b["bufferPositions"], d)
    for l in range(b["layers"]):
        p = f"block.{l}."
        out[p + "norm1.gain"] = out[p + "norm1.bias"] = (d,)
        out[p + "query.weight"] = (d, d)
        out[p + "keyvalue.weight"] = (d, 2 * d)
        out[p + "out.weight"] = (d, d)
        out[p + "out.bias"] = (d,)
        out[p + "norm2.gain"] = out[p + "norm2.bias"] = (d,)
        out[p + "up.weight"] = (d, ff)
        out[p + "up.bias"] = (ff,)
        out[p + "down.weight"] = (ff, d)
        out[p + "down.bias"] = (d,)
    if b["norm"] == "pre":
        out["final.norm.gain"] = out["final.norm.bias"] = (d,)
    out["head.up.weight"] = (d, b["headHidden"])
    out["head.up.bias"] = (b["headHidden"],)
    out["head.down.weight"] = (b["headHidden"], 3 * b["components"])
    out["head.down.bias"] = (3 * b["components"],)
    return out


def initial(blueprint, seed):
    """Fresh parameters, drawn in the order of `shapes`."""
    generator = torch.Generator().manual_seed(seed)
    table = shapes(blueprint)
    C = blueprint["components"]
    parameters = {}
    for name, shape in table.items():
        last = name.rsplit(".", 1)[-1]
        if last == "gain":
            value = torch.ones(shape)
        elif ".norm" in name and last == "bias":
            value = torch.zeros(shape)
        elif name.startswith(("role.", "context.", "position.")):
            value = 0.1 * torch.randn(shape, generator=generator)
        else:
            fan = shape[0] if last == "weight" else table[name[:-4] + "weight"][0]
            value = (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan)
        if name.startswith("block.") and name.endswith((".out.weight", ".down.weight")):
            value /= math.sqrt(2 * blueprint["layers"])
        if name == "head.down.weight":
            value *= 0.1
        if name == "head.down.bias":
            L = blueprint["localComponents"]
            sizes = torch.log(torch.expm1(0.05 * 200 ** (torch.arange(L) / max(L - 1, 1))))
            value = torch.cat([torch.zeros(C + L), torch.linspace(-1, 1, C - L), sizes,
                               torch.full((C - L,), math.log(math.expm1(1 / max(C - L - 1, 1))))])
        parameters[name] = value
    return parameters


class Network:
    """The set transformer with a causal buffer, as plain functions of a parameter dictionary.

    Inside, tokens stand in the order context, unlimited targets, buffer, limited targets, so that
    attention is two dense calls a layer: the first group reads the context alone, the second the
    context and (part of) the buffer.
    """

    def __init__(self, blueprint, parameters):
        self.blueprint = blueprint
        self.p = parameters

    def linear(self, x, path):
        shape = x.shape[:-1]
        y = torch.addmm(self.p[path + ".bias"], x.reshape(-1, x.shape[-1]), self.p[path + ".weight"])
        return y.view(*shape, y.shape[-1])

    def norm(self, x, path):
        return F.layer_norm(x, x.shape[-1:], self.p[path + ".gain"], self.p[path + ".bias"], 1e-5)

    def features(self, x, mask):
        """[..., D] inputs and a mask of the same shape to [..., 2 D + 2 D F] features."""
        frequencies = self.blueprint["frequencies"]
        parts = [x, mask]
        if frequencies > 0:
            omega = (math.pi / 4) * 2.0 ** torch.arange(frequencies, dtype=x.dtype, device=x.device)
            angle = x.unsqueeze(-1) * omega
            waves = torch.cat([angle.sin(), angle.cos()], -1) * mask.unsqueeze(-1)
            parts.append(waves.flatten(-2))
        return torch.cat(parts, -1)

    def embed(self, features, side):
        t = self.linear(features, f"embed.{side}.in")
        return t + self.linear(F.gelu(self.linear(t, f"embed.{side}.up")), f"embed.{side}.down")

    def surroundings(self, xc, yc, xb, yb, xt, limits):
        """What the rows near targets and near rows say of them, and the centres and units of the targets."""
        N, C = xc.shape[1], xb.shape[1]
        x, y = torch.cat([xc, xb], 1)[..., 0], torch.cat([yc, yb], 1)
        splines = Splines(x, y, N, self.blueprint["neighbours"])
        place = torch.arange(N + C, device=x.device)
        sees = place[None] < N + limits[:, None]
        near, centre, unit = splines.tell(xt[..., 0], sees)
        rows = splines.judge((place[None] < place.clamp(min=N)[:, None]) & (place[None] != place[:, None]))
        return near.to(xt.dtype), rows.to(xt.dtype), centre.to(xt.dtype), unit.to(xt.dtype)

    def attend(self, q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def forward(self, xc, yc, xb, yb, xt, limits, mask=None):
        """Raw head outputs [T, M, 3C]: context (xc, yc), buffer (xb, yb), targets xt.

        x are [T, n, D], y are [T, n]; limits is [M] and tells how many buffer points each target
        reads. mask [T, D] or [D] marks the live input dimensions (all by default).
        """
        b = self.blueprint
        N, C, M = xc.shape[1], xb.shape[1], xt.shape[1]
        T, d, heads = xt.shape[0], b["width"], b["heads"]
        limits = torch.as_tensor(limits, device=xt.device)
        if M and (limits.min() < 0 or limits.max() > C):
            raise ValueError("limits must lie between 0 and the buffer's length")
        read = (limits > 0).nonzero()
        plain = int(read[0, 0]) if len(read) else M       # leading targets that read no buffer

        x = torch.cat([xc, xt[:, :plain], xb, xt[:, plain:]], 1)
        live = torch.ones_like(x) if mask is None else torch.as_tensor(
            mask, dtype=x.dtype, device=x.device).expand(T, -1).unsqueeze(1).expand_as(x)
        ex = self.embed(self.features(x, live), "x")
        ey = self.embed(torch.cat([yc, yb], 1).unsqueeze(-1), "y")
        P = N + plain
        if b["neighbours"] > 0:
            with torch.no_grad():
                near, rows, self.centre, self.unit = self.surroundings(xc, yc, xb, yb, xt, limits)
            near, rows = near @ self.p["embed.near.weight"], rows @ self.p["embed.row.weight"]
            ex = ex + torch.cat([rows[:, :N], near[:, :plain], rows[:, N:], near[:, plain:]], 1)
        context = ex[:, :N] + ey[:, :N] + self.p["role.context"]
        if N == 0:
            context = self.p["context.empty"].expand(T, 1, d)
        buffer = ex[:, P:P + C] + ey[:, N:] + self.p["role.buffer"]
        if b["bufferPositions"] > 0 and C > 0:
            buffer = buffer + self.p["position.buffer"][:C]
        h = torch.cat([context, ex[:, N:P] + self.p["role.target"], buffer,
                       ex[:, P + C:] + self.p["role.target"]], 1)
        n = context.shape[1]
        P = n + plain
        L = M - plain

        allowed = None
        if C + L > 0:
            bound = torch.cat([torch.arange(1, C + 1, device=xt.device), limits[plain:]])
            seen = torch.arange(C, device=xt.device)[None] < bound[:, None]
            allowed = torch.cat([seen.new_ones(C + L, n), seen], 1)

        def split(z):
            return z.view(T, -1, heads, d // heads).transpose(1, 2)

        pre = b["norm"] == "pre"
        for l in range(b["layers"]):
            path = f"block.{l}."
            last = l == b["layers"] - 1
            z = self.norm(h, path + "norm1") if pre else h
            weight = torch.cat([self.p[path + "query.weight"], self.p[path + "keyvalue.weight"]], 1)
            if last:
                # Only the targets' outputs are wanted: the rest gives keys and values and stops.
                rest = torch.cat([z[:, :n], z[:, P:P + C]], 1)
                k, v = (split(s) for s in (rest @ weight[:, d:]).split(d, -1))
                h = torch.cat([h[:, n:P], h[:, P + C:]], 1)
                z = torch.cat([z[:, n:P], z[:, P + C:]], 1)
                q = split(z @ weight[:, :d])
                parts = [self.attend(q[:, :, :plain], k[:, :, :n], v[:, :, :n], None)] if plain else []
                if L:
                    parts.append(self.attend(q[:, :, plain:], k, v, allowed[C:]))
            else:
                q, k, v = (split(s) for s in (z @ weight).split(d, -1))
                kc, vc = k[:, :, :n], v[:, :, :n]
                parts = [self.attend(q[:, :, :P], kc, vc, None)]
                if C + L:
                    kb = torch.cat([kc, k[:, :, P:P + C]], 2)
                    vb = torch.cat([vc, v[:, :, P:P + C]], 2)
                    parts.append(self.attend(q[:, :, P:], kb, vb, allowed))
            a = torch.cat(parts, 2).transpose(1, 2).reshape(T, -1, d)
            h = h + self.linear(a, path + "out")
            if not pre:
                h = self.norm(h, path + "norm1")
            z = self.norm(h, path + "norm2") if pre else h
            h = h + self.linear(F.gelu(self.linear(z, path + "up")), path + "down")
            if not pre:
                h = self.norm(h, path + "norm2")
        if pre:
            h = self.norm(h, "final.norm")
        return self.linear(F.gelu(self.linear(h, "head.up")), "head.down")

    def log_density(self, outputs, y):
        logits, means, raw = outputs.chunk(3, -1)
        sd = F.softplus(raw) + self.blueprint["sigmaFloor"]
        if self.blueprint["localComponents"] > 0:
            own = torch.arange(sd.shape[-1], device=sd.device) < self.blueprint["localComponents"]
            unit = torch.where(own, self.unit[..., None], torch.ones_like(sd))
            means = torch.where(own, self.centre[..., None] + unit * means, means)
            sd = sd * unit
        z = (y.unsqueeze(-1) - means) / sd
        terms = F.log_softmax(logits, -1) - 0.5 * z * z - sd.log() - 0.5 * math.log(2 * math.pi)
        return terms.logsumexp(-1)


def save(path, blueprint, parameters):
    write_tensors(path, {k: v.detach().cpu().float().numpy() for k, v in parameters.items()},
                  {"format": FORMAT, "blueprint": json.dumps(blueprint, separators=(",", ":"))})


def flat(blueprint, path):
    """A blueprint of version 2 in the words of version 1, which this twin knows: sets, a mixture, at most local splines."""
    if blueprint.get("version", 1) < 2:
        return blueprint
    head, hints = blueprint.get("head", {}), blueprint.get("hints", [])
    splines = [hint for hint in hints if hint["name"] == "local-splines"]
    positions = blueprint.get("bufferPositions", 0)
    for what, is_known in [
        ("the family " + str(blueprint.get("family", "set")), blueprint.get("family", "set") == "set"),
        ("the head " + str(head.get("name")), head.get("name", "mixture") == "mixture"),
        ("hints of other kinds than local splines", len(splines) == len(hints)),
        ("memories other than softmax", not blueprint.get("memories")),
        (f"buffer positions {positions!r}", isinstance(positions, int)),
    ]:
        if not is_known:
            raise SystemExit(f"{path}: the network has {what}, which is not written here")
    own = {key: value for key, value in blueprint.items() if key not in ("head", "hints", "family", "parts")}
    return own | {
        "version": 1, "components": head["components"], "sigmaFloor": head["floor"], "localComponents": head.get("around", 0),
        "neighbours": splines[0]["neighbours"] if splines else 0,
    }


def load(path, device="cpu"):
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise SystemExit(f"{path}: the format is {metadata.get('format')!r}, not {FORMAT!r}")
    blueprint = {"neighbours": 0, "localComponents": 0} | flat(json.loads(metadata["blueprint"]), path)
    if blueprint.get("periods"):
        raise SystemExit(f"{path}: the network reads the waves of its context, which are not written here")
    wanted = shapes(blueprint)
    for name, shape in wanted.items():
        if name not in tensors:
            raise SystemExit(f"{path}: {name} is missing")
        if tuple(tensors[name].shape) != shape:
            raise SystemExit(f"{path}: {name} has shape {tensors[name].shape}, not {shape}")
    extra = sorted(set(tensors) - set(wanted))
    if extra:
        raise SystemExit(f"{path}: unexpected tensors {', '.join(extra[:5])}")
    return blueprint, {n: torch.from_numpy(tensors[n]).float().to(device) for n in wanted}


# ---------------------------------------------------------------------------------------------
# The prior
# ---------------------------------------------------------------------------------------------

NOISE = {"gp": 1e-5, "gp-noisy": 1e-2}
GRID = 512


class Tasks:
    """A batch of Gaussian-process functions at `points` inputs each, with what drew them."""

    def __init__(self, prior, batch, points, seed, device="cpu"):
        if points > GRID:
            raise ValueError(f"a task has at most {GRID} points")
        generator = torch.Generator(device=device).manual_seed(seed)
        options = dict(generator=generator, dtype=torch.float64, device=device)
        # An Owen-scrambled 512-point set in one dimension has one uniform point in each of the
        # 512 cells; a random subset of it is a random subset of cells.
        order = torch.rand(batch, GRID, **options).argsort(-1)[:, :points]
        self.x = 4 * (order + torch.rand(batch, points, **options)) / GRID - 2
        u = torch.rand(batch, **options)
        self.kind = (u >= 0.4).long() + (u >= 0.7).long()      # RBF, Matern-3/2, Matern-5/2
        self.variance = 0.5 + torch.rand(batch, **options)
        self.scale = 0.1 + 0.9 * torch.rand(batch, **options)
        self.noise = NOISE[prior]
        self.covariance = self.kernel(self.x)
        self.covariance.diagonal(dim1=-2, dim2=-1).add_(self.noise)
        self.factor = torch.linalg.cholesky(self.covariance)
        draw = torch.randn(batch, points, 1, **options)
        self.y = (self.factor @ draw).squeeze(-1)

    def kernel(self, x):
        r = (x.unsqueeze(-1) - x.unsqueeze(-2)).abs() / self.scale[:, None, None]
        out = torch.empty_like(r)
        for kind in range(3):
            rows = (self.kind == kind).nonzero().squeeze(-1)
            if len(rows) == 0:
                continue
            s = r[rows]
            if kind == 0:
                k = torch.exp(-0.5 * s * s)
            elif kind == 1:
                s = s * math.sqrt(3)
                k = (1 + s) * torch.exp(-s)
            else:
                s = s * math.sqrt(5)
                k = (1 + s + s * s / 3) * torch.exp(-s)
            out[rows] = k
        return out * self.variance[:, None, None]

    def oracle(self, contexts, targets):
        """Exact log densities of the targets given the context, true hyperparameters known:
        (joint, sum of marginals), each [batch], of the points contexts..<contexts+targets."""
        n, m = contexts, targets
        K, y = self.covariance[:, :n + m, :n + m], self.y[:, :n + m].unsqueeze(-1)
        Lc = torch.linalg.cholesky(K[:, :n, :n])
        A = torch.linalg.solve_triangular(Lc, K[:, :n, n:], upper=False)
        w = torch.linalg.solve_triangular(Lc, y[:, :n], upper=False)
        mean = (A.transpose(-1, -2) @ w)
        cov = K[:, n:, n:] - A.transpose(-1, -2) @ A
        r = y[:, n:] - mean
        Lt = torch.linalg.cholesky(cov)
        z = torch.linalg.solve_triangular(Lt, r, upper=False).squeeze(-1)
        half = 0.5 * math.log(2 * math.pi)
        joint = -(0.5 * z * z + Lt.diagonal(dim1=-2, dim2=-1).log() + half).sum(-1)
        var = cov.diagonal(dim1=-2, dim2=-1)
        marginal = -(0.5 * r.squeeze(-1) ** 2 / var + 0.5 * var.log() + half).sum(-1)
        return joint, marginal


def stratified_limits(buffers, targets, generator):
    """The first half of the targets reads no buffer; the rest reads prefixes 1..C, each length
    about equally often."""
    half = targets // 2
    rest = targets - half
    u = torch.rand(rest, generator=generator)
    v = 1 + ((torch.arange(rest) + u) * buffers / rest).floor().long()
    return torch.cat([torch.zeros(half, dtype=torch.long), v.clamp(max=buffers)])


class Batch:
    """One training or validation batch, ready for the network."""

    def __init__(self, prior, batch, contexts, buffers, targets, seed, device="cpu"):
        tasks = Tasks(prior, batch, contexts + buffers + targets, seed, device)
        x, y = tasks.x.float().unsqueeze(-1), tasks.y.float()
        e = contexts + buffers
        generator = torch.Generator().manual_seed(seed + 1)
        self.arguments = (x[:, :contexts], y[:, :contexts], x[:, contexts:e], y[:, contexts:e],
                          x[:, e:], stratified_limits(buffers, targets, generator).to(device))
        self.y = y[:, e:]


def training_batch(options, step, device):
    seed = (options.seed * 1_000_003 + step) * 16
    generator = torch.Generator().manual_seed(seed + 2)
    low, high = options.contexts
    contexts = int(torch.randint(low, high + 1, (1,), generator=generator))
    buffers = options.buffers[int(torch.randint(len(options.buffers), (1,), generator=generator))]
    return Batch(options.prior, options.batch, contexts, buffers, options.targets, seed, device)


def validation_batches(options, device):
    plan = [(n, c) for n in (4, 8, 16, 32, 64, 128, 192) for c in (16, 64)]
    return [Batch(options.prior, options.validation, n, c, 64, 900_000_000_000 + 16 * i, device)
            for i, (n, c) in enumerate(plan)]


@torch.no_grad()
def validation_loss(network, batches):
    """(all, targets without the buffer, targets with the buffer)."""
    losses = []
    for batch in batches:
        value = -network.log_density(network.forward(*batch.arguments), batch.y)
        half = value.shape[1] // 2
        losses.append([value.mean().item(), value[:, :half].mean().item(), value[:, half:].mean().item()])
    return [sum(column) / len(losses) for column in zip(*losses)]


# ---------------------------------------------------------------------------------------------
# Evaluation against the exact posterior
# ---------------------------------------------------------------------------------------------

@torch.no_grad()
def evaluate(network, prior, functions, orders, device="cpu", sizes=(8, 16, 32, 64, 128), targets=16,
             seed=1, reencode=True, chunk=128):
    """Rows of nats a target: exact joint and marginal, the network's independent, one-pass buffer
    and re-encoded densities (log-mean-exp over shared random orders), with paired gaps."""
    rows = []
    M = targets
    for N in sizes:
        tasks = Tasks(prior, functions, N + M, 800_000_000_000 + seed * 1000 + N)
        joint, marginal = tasks.oracle(N, M)
        generator = torch.Generator().manual_seed(seed * 1000 + N)
        order = torch.stack([torch.randperm(M, generator=generator) for _ in range(functions * orders)])
        x = tasks.x.float().unsqueeze(-1).to(device)
        y = tasks.y.float().to(device)
        empty_x, empty_y = x[:, :0], y[:, :0]
        zeros = torch.zeros(M, dtype=torch.long, device=device)
        one_up = torch.arange(M, device=device)
        independent, buffered, reencoded = [], [], []
        for begin in range(0, functions, max(1, chunk // orders)):
            s = slice(begin, min(functions, begin + max(1, chunk // orders)))
            out = network.forward(x[s, :N], y[s, :N], empty_x[s], empty_y[s], x[s, N:], zeros)
            independent.append(network.log_density(out, y[s, N:]).sum(-1))
            rep = torch.arange(s.start, s.stop, device=device).repeat_interleave(orders)
            index = order[s.start * orders:s.stop * orders].to(device)
            xc, yc = x[rep, :N], y[rep, :N]
            xo = x[rep, N:].gather(1, index.unsqueeze(-1))
            yo = y[rep, N:].gather(1, index)
            out = network.forward(xc, yc, xo, yo, xo, one_up)
            value = network.log_density(out, yo).sum(-1).double().view(-1, orders)
            buffered.append(value.logsumexp(1) - math.log(orders))
            if reencode:
                value = 0
                for k in range(M):
                    out = network.forward(torch.cat([xc, xo[:, :k]], 1), torch.cat([yc, yo[:, :k]], 1),
                                          xo[:, :0], yo[:, :0], xo[:, k:k + 1], zeros[:1])
                    value = value + network.log_density(out, yo[:, k:k + 1]).sum(-1).double()
                reencoded.append(value.view(-1, orders).logsumexp(1) - math.log(orders))
        def nats(parts):
            return torch.cat(parts).double().cpu() / M
        row = {"contexts": N, "oracle": joint / M, "marginal": marginal / M,
               "independent": nats(independent), "buffer": nats(buffered)}
        if reencode:
            row["reencode"] = nats(reencoded)
        rows.append(row)
    return rows


GAPS = (("marginal", "independent"), ("oracle", "buffer"), ("oracle", "reencode"), ("reencode", "buffer"))


def summary(rows):
    """JSON-ready means and standard errors of each row and of the average over context sizes."""
    def mean_se(values):
        n = len(values)
        return values.mean().item(), (values.std().item() / math.sqrt(n) if n > 1 else float("nan"))
    out = {"rows": []}
    total = {}
    for row in rows:
        entry = {"contexts": row["contexts"]}
        names = [k for k in ("oracle", "marginal", "independent", "buffer", "reencode") if k in row]
        for name in names:
            entry[name] = [round(v, 4) for v in mean_se(row[name])]
        for a, b in GAPS:
            if a in row and b in row:
                m, s = mean_se(row[a] - row[b])
                entry[f"{a}-{b}"] = [round(m, 4), round(s, 4)]
                total.setdefault(f"{a}-{b}", []).append((m, s))
        out["rows"].append(entry)
    for key, values in total.items():
        k = len(values)
        out[key] = [round(sum(m for m, _ in values) / k, 4),
                    round(math.sqrt(sum(s * s for _, s in values)) / k, 4)]
    return out


def print_summary(result, stream=sys.stdout):
    names = [k for k in ("oracle", "marginal", "independent", "buffer", "reencode",
                         *(f"{a}-{b}" for a, b in GAPS)) if k in result["rows"][0]]
    print("   N " + "".join(f"{n:>22}" for n in names), file=stream)
    for row in result["rows"]:
        print(f"{row['contexts']:4d} " + "".join(
            f"{row[n][0]:14.3f} ({row[n][1]:.3f})" for n in names), file=stream)
    gaps = [n for n in names if n in result]
    print("mean " + "  ".join(f"{n} {result[n][0]:.3f} ({result[n][1]:.3f})" for n in gaps), file=stream)


# ---------------------------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------------------------

def run_directory(name):
    root = os.environ.get("CHORUS_RUNS") or os.path.join(os.path.expanduser("~"), ".cache", "chorus", "runs")
    path = name if os.path.isabs(name) else os.path.join(root, name)
    os.makedirs(path, exist_ok=True)
    return path


def rate_scale(progress, warm):
    """Linear warm-up to 1 over the share `warm`, then a cosine to 0; progress in (0, 1]."""
    if progress < warm:
        return progress / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm) / (1 - warm))))


def pick_device(name):
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def train(options):
    device = pick_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    directory = run_directory(options.out)
    if options.load:
        blueprint, parameters = load(options.load, device)
    else:
        blueprint = dict(DEFAULT_BLUEPRINT)
        for field, option in (("width", "width"), ("layers", "layers"), ("heads", "heads"),
                              ("feedForward", "feed_forward"), ("embedderHidden", "embedder_hidden"),
                              ("headHidden", "head_hidden"), ("components", "components"),
                              ("frequencies", "frequencies"), ("norm", "norm"),
                              ("bufferPositions", "buffer_positions")):
            value = getattr(options, option)
            if value is not None:
                blueprint[field] = value
        parameters = {k: v.to(device) for k, v in initial(blueprint, options.seed).items()}
    if blueprint["scaling"] != "none" or blueprint["inputDimensions"] != 1:
        raise SystemExit("train: the priors here are one-dimensional and unscaled")
    if 0 < blueprint["bufferPositions"] < max(options.buffers):
        raise SystemExit("train: bufferPositions is smaller than the longest buffer")
    for value in parameters.values():
        value.requires_grad_(True)
    network = Network(blueprint, parameters)
    average = {k: v.detach().clone() for k, v in parameters.items()}
    averaged = Network(blueprint, average)
    matrices = [v for k, v in parameters.items() if k.endswith(".weight")]
    others = [v for k, v in parameters.items() if not k.endswith(".weight")]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": options.decay}, {"params": others, "weight_decay": 0.0}],
        lr=options.rate, betas=(0.9, options.beta2), eps=1e-8)
    live, mean = list(parameters.values()), list(average.values())

    steps = None if options.core_seconds else max(1, options.tasks // options.batch)
    held = validation_batches(options, device)
    log = open(os.path.join(directory, "log.jsonl"), "a", buffering=1)

    def write(record):
        text = json.dumps(record)
        log.write(text + "\n")
        print(text, flush=True)

    write({"blueprint": blueprint, "parameters": sum(v.numel() for v in live), "steps": steps,
           "options": {k: v for k, v in vars(options).items() if k != "run"}})
    started, clock, core = time.time(), 0.0, 0.0      # training time only, without the evaluations
    window, norms = [], []
    validated = evaluated = done = 0
    progress = 0.0
    while progress < 1 and not (options.stop and done * options.batch >= options.stop):
        wall, cpu = time.perf_counter(), time.process_time()
        # Progress as it will stand after this step: exact by steps, a forecast by core seconds.
        ahead = (done + 1) / steps if steps else (core + core / max(done, 1)) / options.core_seconds
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_scale(ahead, options.warm)
        batch = training_batch(options, done, device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=options.bf16):
            outputs = network.forward(*batch.arguments)
        loss = -network.log_density(outputs.float(), batch.y).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(live, options.clip)
        if torch.isfinite(norm):
            optimiser.step()
            keep = min(options.keep, (1 + done) / (10 + done))
            with torch.no_grad():
                torch._foreach_lerp_(mean, live, 1 - keep)
            window.append(loss.detach())
            norms.append(norm)
        else:
            write({"step": done + 1, "skipped": "the gradient is not finite"})
        clock += time.perf_counter() - wall
        core += time.process_time() - cpu
        done += 1
        progress = done / steps if steps else core / options.core_seconds
        due = progress >= 1 or progress * options.validations >= validated + 1
        if due or done % options.log_every == 0:
            record = {"step": done, "tasks": done * options.batch,
                      "loss": round(torch.stack(window).mean().item(), 4) if window else None,
                      "gradient": round(torch.stack(norms).mean().item(), 3) if norms else None,
                      "seconds": round(clock, 1), "core_seconds": round(core, 1),
                      "elapsed": round(time.time() - started, 1)}
            window, norms = [], []
            if due:
                validated = int(progress * options.validations)
                v = validation_loss(averaged, held)
                record["validation"], record["validation_plain"], record["validation_buffer"] = (
                    round(value, 4) for value in v)
                save(os.path.join(directory, "model.safetensors"), blueprint, average)
            write(record)
        if options.evaluations and (progress >= 1 or progress * options.evaluations >= evaluated + 1):
            evaluated = int(progress * options.evaluations)
            result = summary(evaluate(averaged, options.prior, options.functions, options.orders, device))
            write({"step": done, "tasks": done * options.batch, "evaluation": result})
            print_summary(result, sys.stderr)
    if options.export:
        save(options.export, blueprint, average)


def evaluate_command(options):
    device = pick_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    blueprint, parameters = load(options.load, device)
    rows = evaluate(Network(blueprint, parameters), options.prior, options.functions, options.orders,
                    device, tuple(options.sizes), options.targets, options.seed, not options.skip_reencode)
    result = summary(rows)
    print_summary(result)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


def validate_command(options):
    """The training loss on the validation batches of a run, for weights of either trainer."""
    if options.threads:
        torch.set_num_threads(options.threads)
    held = validation_batches(options, "cpu")
    for path in options.models:
        blueprint, parameters = load(path)
        mean, plain, buffered = validation_loss(Network(blueprint, parameters), held)
        print(json.dumps({"model": os.path.basename(path), "validation": round(mean, 4),
                          "validation_plain": round(plain, 4), "validation_buffer": round(buffered, 4)}))


@torch.no_grad()
def forward_command(options):
    if options.init:
        blueprint = dict(DEFAULT_BLUEPRINT)
        blueprint.update(json.loads(options.init))
        parameters = initial(blueprint, options.seed)
    elif options.load:
        blueprint, parameters = load(options.load)
    else:
        raise SystemExit("forward: give --load FILE or --init JSON")
    if options.export:
        save(options.export, blueprint, parameters)
    if not options.input:
        return
    tensors, metadata = read_tensors(options.input)
    try:
        N, C, M = (int(metadata[k]) for k in ("contexts", "buffers", "targets"))
    except KeyError as missing:
        raise SystemExit(f"forward: the input's metadata lacks {missing}")
    dtype = torch.float64 if options.double else torch.float32
    x = torch.from_numpy(tensors["x"]).to(dtype)
    y = torch.from_numpy(tensors["y"]).to(dtype)
    if x.dim() == 2:
        x = x.unsqueeze(-1)
    y = y.reshape(x.shape[0], -1)
    if x.shape[1] != N + C + M or x.shape[2] != blueprint["inputDimensions"] or y.shape[1] not in (N + C, N + C + M):
        raise SystemExit(f"forward: x {tuple(x.shape)} and y {tuple(y.shape)} do not fit the counts {N}, {C}, {M}")
    limits = torch.from_numpy(np.asarray(tensors["limits"]).round().astype(np.int64)).reshape(-1)
    mask = torch.from_numpy(tensors["mask"]).to(dtype) if "mask" in tensors else None
    network = Network(blueprint, {k: v.to(dtype) for k, v in parameters.items()})
    out = network.forward(x[:, :N], y[:, :N], x[:, N:N + C], y[:, N:N + C], x[:, N + C:], limits, mask)
    result = {"outputs": out.reshape(-1, out.shape[-1]).numpy()}
    if y.shape[1] == N + C + M:
        result["logDensities"] = network.log_density(out, y[:, N + C:]).reshape(-1).numpy()
    write_tensors(options.output, result, {"contexts": N, "buffers": C, "targets": M})


def fixture_command(options):
    """A network with its outputs, for the tests that hold the Swift network to this one."""
    generator = torch.Generator().manual_seed(options.seed)
    name = options.norm
    if options.load:
        blueprint, parameters = load(options.load)
        name = os.path.splitext(os.path.basename(options.load))[0]
    else:
        blueprint = dict(DEFAULT_BLUEPRINT)
        blueprint.update({"width": 32, "layers": 2, "heads": 4, "feedForward": 48, "embedderHidden": 40,
                          "headHidden": 24, "components": 5, "inputDimensions": 2, "frequencies": 3,
                          "bufferPositions": 6, "norm": options.norm})
        parameters = initial(blueprint, options.seed)
        # The parameters that start at zero or one are moved, so that the fixture would show them ignored.
        for path, value in parameters.items():
            if path.endswith(".gain") or "norm" in path:
                parameters[path] = value + 0.1 * torch.randn(value.shape, generator=generator)
    T, N, C, M, D = 2, 7, 5, 6, blueprint["inputDimensions"]
    x = torch.rand(T, N + C + M, D, generator=generator) * 4 - 2
    y = torch.randn(T, N + C + M, generator=generator)
    limits = torch.tensor([0, 0, 1, 3, 4, 5])
    exact = Network(blueprint, {k: v.double() for k, v in parameters.items()})
    xd, yd = x.double(), y.double()
    out = exact.forward(xd[:, :N], yd[:, :N], xd[:, N:N + C], yd[:, N:N + C], xd[:, N + C:], limits)
    logp = exact.log_density(out, yd[:, N + C:])
    os.makedirs(options.output, exist_ok=True)
    if not options.load:
        save(os.path.join(options.output, f"torch-{name}.safetensors"), blueprint, parameters)
    write_tensors(os.path.join(options.output, f"torch-{name}-outputs.safetensors"),
                  {"x": x.numpy(), "y": y.numpy(), "limits": limits.numpy().astype(np.int32),
                   "outputs": out.float().numpy(), "logDensities": logp.float().numpy()},
                  {"tasks": T, "contexts": N, "buffers": C, "targets": M})


# ---------------------------------------------------------------------------------------------
# The command line
# ---------------------------------------------------------------------------------------------

def parser():
    top = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = top.add_subparsers(dest="mode", required=True)
    shown = dict(formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    t = modes.add_parser("train", help="train a network on a prior", **shown)
    t.set_defaults(run=train)
    t.add_argument("--prior", choices=sorted(NOISE), default="gp", help="what draws the tasks")
    t.add_argument("--tasks", type=int, default=50_000, help="tasks to see in the whole run")
    t.add_argument("--stop", type=int, default=0,
                   help="stop after this many tasks of the same schedule; 0 for not")
    t.add_argument("--core-seconds", type=float, default=0,
                   help="run for this much CPU time instead of --tasks, the schedule following it")
    t.add_argument("--out", required=True, help="folder of the run, under $CHORUS_RUNS unless absolute")
    t.add_argument("--export", help="also write the final weights here")
    t.add_argument("--load", help="start from these weights, with their blueprint")
    t.add_argument("--seed", type=int, default=1, help="of the initial weights and the tasks")
    t.add_argument("--batch", type=int, default=16, help="tasks a step")
    t.add_argument("--contexts", type=int, nargs=2, default=[4, 192], metavar=("LOW", "HIGH"),
                   help="range of the context size, one draw a batch")
    t.add_argument("--buffers", type=int, nargs="+", default=[16, 64],
                   help="buffer sizes to choose from, one draw a batch")
    t.add_argument("--targets", type=int, default=64, help="targets a task")
    t.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    t.add_argument("--warm", type=float, default=0.05, help="share of the run spent warming up")
    t.add_argument("--decay", type=float, default=0.01, help="decoupled weight decay of the matrices")
    t.add_argument("--beta2", type=float, default=0.99, help="second Adam coefficient")
    t.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    t.add_argument("--keep", type=float, default=0.999, help="ceiling of the weight average's keep")
    t.add_argument("--bf16", action="store_true", help="run the network in bfloat16")
    t.add_argument("--validations", type=int, default=10, help="times the validation loss is taken")
    t.add_argument("--validation", type=int, default=16, help="tasks in each of 14 validation batches")
    t.add_argument("--evaluations", type=int, default=1, help="times the exact gap is taken; 0 for never")
    t.add_argument("--functions", type=int, default=96, help="functions a context size in the gap")
    t.add_argument("--orders", type=int, default=4, help="random orders averaged in the gap")
    t.add_argument("--log-every", type=int, default=50, help="steps between log lines")
    g = t.add_argument_group("blueprint (defaults as in DEFAULT_BLUEPRINT)")
    for flag in ("width", "layers", "heads", "feed-forward", "embedder-hidden", "head-hidden",
                 "components", "frequencies", "buffer-positions"):
        g.add_argument("--" + flag, type=int, default=None)
    g.add_argument("--norm", choices=["pre", "post"])

    e = modes.add_parser("evaluate", help="compare a network with the exact posterior", **shown)
    e.set_defaults(run=evaluate_command)
    e.add_argument("--load", required=True, help="weights")
    e.add_argument("--prior", choices=sorted(NOISE), default="gp")
    e.add_argument("--functions", type=int, default=96, help="functions a context size")
    e.add_argument("--orders", type=int, default=4, help="random orders averaged (log-mean-exp)")
    e.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32, 64, 128], help="context sizes")
    e.add_argument("--targets", type=int, default=16)
    e.add_argument("--seed", type=int, default=1, help="of the validation tasks and orders")
    e.add_argument("--skip-reencode", action="store_true", help="leave out the slow sequential densities")
    e.add_argument("--json", help="also write the numbers here")

    f = modes.add_parser("forward", help="raw head outputs for given tensors", description=(
        "Reads x [T, N+C+M, D], y [T, N+C+M] and limits [M] with the counts contexts, buffers and targets "
        "as metadata (optional: mask [D] or [T, D] of live dimensions), and writes outputs [T*M, 3 components] "
        "and logDensities [T*M]. y is taken as the network sees it; no scaling is applied."))
    f.set_defaults(run=forward_command)
    f.add_argument("--load", help="weights")
    f.add_argument("--init", metavar="JSON", help="fresh weights instead: blueprint fields that differ from the default")
    f.add_argument("--seed", type=int, default=1, help="of fresh weights")
    f.add_argument("--export", help="write the weights used")
    f.add_argument("--input", help="tensors to run on")
    f.add_argument("--output", default="outputs.safetensors", help="where the outputs go")
    f.add_argument("--double", action="store_true", help="compute in float64 (the file stays f32)")

    v = modes.add_parser("validate", help="validation loss of models", description=(
        "The loss that `train` reports as validation, for models of this trainer or of `chorus train`."))
    v.add_argument("models", nargs="+")
    v.add_argument("--prior", choices=sorted(NOISE), default="gp")
    v.add_argument("--validation", type=int, default=16, help="tasks in each of 14 validation batches")
    v.add_argument("--threads", type=int, default=0)
    v.set_defaults(run=validate_command)

    x = modes.add_parser("fixture", help="small files for the Swift tests", description=(
        "Writes a small network, or takes a trained one, and writes its outputs, computed in float64."))
    x.add_argument("--load", help="a trained model to write the outputs of, instead of a fresh small network")
    x.add_argument("--norm", choices=["pre", "post"], default="pre")
    x.add_argument("--seed", type=int, default=1)
    x.add_argument("--output", required=True, help="folder")
    x.set_defaults(run=fixture_command)

    for mode in (t, e):
        mode.add_argument("--device", default="auto", help="auto, cpu or cuda")
        mode.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's own choice")
    return top


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.run(arguments)
