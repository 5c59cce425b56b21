"""What a user would run instead of Chorus: the same network in PyTorch, and an exact Gaussian process.

Read by duel.py, which checks that they give the numbers of Chorus before it times them.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import cho_factor, cho_solve, cholesky

import train_torch


# ---------------------------------------------------------------------------------------------
# The peer's network
# ---------------------------------------------------------------------------------------------

class Peer(train_torch.Network):
    """The network of train_torch.py with ways to draw paths and to score them. One task, no batch of contexts."""

    def __init__(self, blueprint, parameters):
        super().__init__(blueprint, parameters)
        self.heads, self.width = blueprint["heads"], blueprint["width"] // blueprint["heads"]
        self.layers, self.d, self.components = blueprint["layers"], blueprint["width"], blueprint["components"]
        # One product for queries, keys and values, put together once.
        self.joint = [torch.cat([self.p[f"block.{l}.query.weight"], self.p[f"block.{l}.keyvalue.weight"]], 1).contiguous()
                      for l in range(self.layers)]

    def inputs(self, x):
        x = x.unsqueeze(-1)
        return self.embed(self.features(x, torch.ones_like(x)), "x")

    def outputs(self, y):
        return self.embed(y.unsqueeze(-1), "y")

    def split(self, z):                                     # [..., n, d] -> [..., heads, n, width]
        return z.unflatten(-1, (self.heads, self.width)).transpose(-2, -3)

    def finish(self, h, read, l):
        path = f"block.{l}."
        h = h + self.linear(read, path + "out")
        return h + self.linear(F.gelu(self.linear(self.norm(h, path + "norm2"), path + "up")), path + "down")

    def raw(self, h):
        return self.linear(F.gelu(self.linear(self.norm(h, "final.norm"), "head.up")), "head.down")

    def encode(self, xc, yc):
        """Keys and values of the context, [heads, N, width] a layer; the last layer stops at them."""
        h = self.inputs(xc) + self.outputs(yc) + self.p["role.context"]
        cache = []
        for l in range(self.layers):
            z = self.norm(h, f"block.{l}.norm1")
            if l == self.layers - 1:
                k, v = (z @ self.joint[l][:, self.d:]).chunk(2, -1)
                cache.append((self.split(k).contiguous(), self.split(v).contiguous()))
                break
            q, k, v = (self.split(s) for s in (z @ self.joint[l]).chunk(3, -1))
            cache.append((k.contiguous(), v.contiguous()))
            read = F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
            h = self.finish(h, read.transpose(0, 1).reshape(h.shape), l)
        return cache

    def draw(self, raw, uniform, normal):
        """One value of each row's mixture: the component by its cumulated weight, then its normal."""
        logits, means, scales = raw.chunk(3, -1)
        chosen = (logits.softmax(-1).cumsum(-1) <= uniform.unsqueeze(-1)).sum(-1, keepdim=True)
        chosen = chosen.clamp_max(self.components - 1)
        deviation = F.softplus(scales.gather(-1, chosen)) + self.blueprint["sigmaFloor"]
        return (means.gather(-1, chosen) + deviation * normal.unsqueeze(-1)).squeeze(-1)

    # ---- drawing paths -----------------------------------------------------------------------

    @torch.inference_mode()
    def naive(self, xc, yc, xt, orders, uniforms, normals):
        """Every value joins the context, which is encoded anew for every path."""
        B, K = orders.shape
        x, y = xc.expand(B, -1), yc.expand(B, -1)
        none = xc.new_empty(B, 0)
        rows = torch.arange(B)
        values = torch.empty(B, K)
        for k in range(K):
            target = orders[:, k]
            at = xt[target].unsqueeze(1)
            raw = self.forward(x.unsqueeze(-1), y, none.unsqueeze(-1), none, at.unsqueeze(-1), [0])[:, 0]
            value = self.draw(raw, uniforms[rows, target], normals[rows, target])
            values[rows, target] = value
            x, y = torch.cat([x, at], 1), torch.cat([y, value.unsqueeze(1)], 1)
        return values

    @torch.inference_mode()
    def cached(self, kind, xc, yc, xt, orders, uniforms, normals):
        """The context encoded once; a step sends the value just drawn and the next query through the network."""
        B, K = orders.shape
        memory = MEMORIES[kind](self, self.encode(xc, yc), B, K)
        ex = self.inputs(xt)
        rows = torch.arange(B)
        values, value, before = torch.empty(B, K), None, None
        for k in range(K):
            target = orders[:, k]
            h = (ex[target] + self.p["role.target"]).unsqueeze(1)
            if k:
                told = ex[before] + self.outputs(value) + self.p["role.buffer"]
                h = torch.cat([told.unsqueeze(1), h], 1)
            T = h.shape[1]
            for l in range(self.layers):
                qkv = (self.norm(h, f"block.{l}.norm1") @ self.joint[l]).view(B, T, 3, self.heads, self.width)
                q, key, v = qkv.unbind(2)                   # [B, T, heads, width]
                if k:
                    memory.append(l, k - 1, key[:, 0], v[:, 0])
                if l == self.layers - 1:                    # only the query goes on
                    q, h = q[:, -1:], h[:, -1:]
                h = self.finish(h, memory.read(l, q, k).reshape(h.shape), l)
            value = self.draw(self.raw(h[:, -1]), uniforms[rows, target], normals[rows, target])
            values[rows, target] = value
            before = target
        return values

    # ---- scoring -----------------------------------------------------------------------------

    @torch.inference_mode()
    def score(self, kind, xc, yc, xt, yt, orders):
        """log p of given values under each order: one pass, query k reads the k values before it."""
        B, K = orders.shape
        memory = MEMORIES[kind](self, self.encode(xc, yc), B, K)
        ex, ey = self.inputs(xt)[orders], self.outputs(yt)[orders]
        h = torch.cat([ex + ey + self.p["role.buffer"], ex + self.p["role.target"]], 1)   # [B, 2K, d]
        own = torch.arange(K)
        limits = torch.cat([own + 1, own])
        allowed = own[None] < limits[:, None]
        for l in range(self.layers):
            z = self.norm(h, f"block.{l}.norm1") @ self.joint[l]
            q, key, v = z.view(B, 2 * K, 3, self.heads, self.width).unbind(2)
            memory.fill(l, key[:, :K], v[:, :K])
            if l == self.layers - 1:
                q, h, allowed = q[:, K:], h[:, K:], allowed[K:]
            h = self.finish(h, memory.read(l, q, K, allowed).reshape(h.shape), l)
        return self.log_density(self.raw(h), yt[orders]).sum(-1)


class Cat:
    """Scores of context and buffer side by side, one softmax."""

    def __init__(self, net, cache, paths, capacity):
        self.net, self.cache = net, cache
        shape = (net.layers, paths, net.heads, capacity, net.width)
        self.keys, self.values = torch.empty(shape), torch.empty(shape)

    def append(self, l, index, key, value):
        self.keys[l][:, :, index], self.values[l][:, :, index] = key, value

    def fill(self, l, keys, values):
        self.keys[l].copy_(keys.transpose(1, 2))
        self.values[l].copy_(values.transpose(1, 2))

    def read(self, l, q, count, allowed=None):
        B, T, H, W = q.shape
        (kc, vc), N = self.cache[l], self.cache[l][0].shape[1]
        qh = q.permute(2, 0, 1, 3).reshape(H, B * T, W)
        scores = torch.bmm(qh, kc.transpose(1, 2)).view(H, B, T, N)
        if count:
            own = torch.matmul(q.transpose(1, 2), self.keys[l][:, :, :count].transpose(2, 3))     # [B, H, T, k]
            if allowed is not None:
                own = own.masked_fill(~allowed, -math.inf)
            scores = torch.cat([scores, own.transpose(0, 1)], -1)
        weights = torch.softmax(scores * (1 / math.sqrt(W)), -1)
        out = torch.bmm(weights[..., :N].reshape(H, B * T, N), vc).view(H, B, T, W)
        if count:
            out = out + torch.matmul(weights[..., N:].transpose(0, 1), self.values[l][:, :, :count]).transpose(0, 1)
        return out.permute(1, 2, 0, 3)


def heads_first():
    """Whether the kernel's log-sum-exps are [1, heads, rows]; releases of PyTorch differ."""
    q, k = torch.zeros(1, 2, 3, 8), torch.zeros(1, 2, 5, 8)
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, k)[1].shape[1] == 2


HEADS_FIRST = heads_first()


class Fold(Cat):
    """The context by the flash kernel with all paths' queries in one axis, merged with the buffer by log-sum-exps."""

    def read(self, l, q, count, allowed=None):
        B, T, H, W = q.shape
        kc, vc = self.cache[l]
        folded = q.reshape(1, B * T, H, W).transpose(1, 2)
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(folded, kc[None], vc[None])
        out = out.transpose(1, 2).reshape(B, T, H, W)
        if not count:
            return out
        lse = lse.view(H, B, T).permute(1, 2, 0) if HEADS_FIRST else lse.reshape(B, T, H)
        scores = torch.matmul(q.transpose(1, 2), self.keys[l][:, :, :count].transpose(2, 3)) * (1 / math.sqrt(W))
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -math.inf)
        own = torch.logsumexp(scores, -1, keepdim=True)                               # [B, H, T, 1]
        weights = torch.nan_to_num(torch.exp(scores - own)) if allowed is not None else torch.exp(scores - own)
        read = torch.matmul(weights, self.values[l][:, :, :count]).transpose(1, 2)
        share = torch.sigmoid(own.squeeze(-1).transpose(1, 2) - lse).unsqueeze(-1)
        return torch.lerp(out, read, share)


class Copy:
    """The plain key-value cache: each path has a copy of the context's, and PyTorch's own attention reads it."""

    def __init__(self, net, cache, paths, capacity):
        self.N = cache[0][0].shape[1]
        shape = (paths, net.heads, self.N + capacity, net.width)
        self.keys = [torch.empty(shape) for _ in cache]
        self.values = [torch.empty(shape) for _ in cache]
        for l, (k, v) in enumerate(cache):
            self.keys[l][:, :, :self.N], self.values[l][:, :, :self.N] = k, v

    def append(self, l, index, key, value):
        self.keys[l][:, :, self.N + index], self.values[l][:, :, self.N + index] = key, value

    def fill(self, l, keys, values):
        self.keys[l][:, :, self.N:].copy_(keys.transpose(1, 2))
        self.values[l][:, :, self.N:].copy_(values.transpose(1, 2))

    def read(self, l, q, count, allowed=None):
        n = self.N + count
        mask = None if allowed is None else torch.cat([allowed.new_ones(allowed.shape[0], self.N), allowed], 1)
        out = F.scaled_dot_product_attention(
            q.transpose(1, 2), self.keys[l][:, :, :n], self.values[l][:, :, :n], attn_mask=mask)
        return out.transpose(1, 2)


MEMORIES = {"cat": Cat, "fold": Fold, "copy": Copy}


class Student(torch.nn.Module):
    """The training pass: half of the targets read no buffer, so attention is two dense calls a layer."""

    def __init__(self, blueprint, parameters):
        super().__init__()
        self.names = {name: name.replace(".", "_") for name in parameters}
        for name, value in parameters.items():
            self.register_parameter(self.names[name], torch.nn.Parameter(value.clone()))
        self.blueprint = blueprint

    def forward(self, x, y, allowed, N, C, M):
        """The loss of tasks x, y [T, N+C+M]; `allowed` [C + M/2, N + C] masks buffer rows and the later targets."""
        b, half = self.blueprint, M - M // 2
        net = train_torch.Network(b, {name: getattr(self, own) for name, own in self.names.items()})
        T, d, heads = x.shape[0], b["width"], b["heads"]
        xs = x.unsqueeze(-1)
        ex = net.embed(net.features(xs, torch.ones_like(xs)), "x")
        ey = net.embed(y[:, :N + C].unsqueeze(-1), "y")
        context = ex[:, :N] + ey[:, :N] + net.p["role.context"]
        buffer = ex[:, N:N + C] + ey[:, N:] + net.p["role.buffer"]
        target = ex[:, N + C:] + net.p["role.target"]
        h = torch.cat([context, target[:, :half], buffer, target[:, half:]], 1)
        P = N + half

        def split(z):
            return z.view(T, -1, heads, d // heads).transpose(1, 2)

        for l in range(b["layers"]):
            path = f"block.{l}."
            z = net.norm(h, path + "norm1")
            query, keyvalue = net.p[path + "query.weight"], net.p[path + "keyvalue.weight"]
            stored = torch.cat([z[:, :N], z[:, P:P + C]], 1)
            k, v = (split(s) for s in (stored @ keyvalue).split(d, -1))
            if l == b["layers"] - 1:                        # only targets go on
                z, h = (torch.cat([s[:, N:P], s[:, P + C:]], 1) for s in (z, h))
                q = split(z @ query)
                first, mask = half, allowed[C:]
            else:
                q, first, mask = split(z @ query), P, allowed
            read = torch.cat([
                F.scaled_dot_product_attention(q[:, :, :first], k[:, :, :N], v[:, :, :N]),
                F.scaled_dot_product_attention(q[:, :, first:], k, v, attn_mask=mask)], 2)
            h = h + net.linear(read.transpose(1, 2).reshape(T, -1, d), path + "out")
            z = net.norm(h, path + "norm2")
            h = h + net.linear(F.gelu(net.linear(z, path + "up")), path + "down")
        h = net.norm(h, "final.norm")
        raw = net.linear(F.gelu(net.linear(h, "head.up")), "head.down")
        return -net.log_density(raw, y[:, N + C:]).mean()


class Steps:
    """Training steps as Chorus does them: AdamW, clipped gradients, a running average of the weights."""

    def __init__(self, student, compiled):
        self.student = student
        self.live = list(student.parameters())
        self.mean = [p.detach().clone() for p in self.live]
        self.optimiser = torch.optim.AdamW(
            [{"params": [p for p in self.live if p.dim() > 1], "weight_decay": 0.01},
             {"params": [p for p in self.live if p.dim() < 2], "weight_decay": 0.0}],
            lr=1e-5, betas=(0.9, 0.99), eps=1e-8, fused=True)
        self.loss = torch.compile(student) if compiled else student

    def __call__(self, *arguments):
        loss = self.loss(*arguments)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.live, 1.0)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, self.live, 0.001)
        return loss.item(), norm.item()


# ---------------------------------------------------------------------------------------------
# An exact Gaussian process, for scale
# ---------------------------------------------------------------------------------------------

def gaussian_process(xc, yc, xt, paths, generator):
    """Paths of the exact posterior under a fixed kernel, by Cholesky in float64 (scipy, all threads)."""
    def kernel(a, b):
        return np.exp(-0.5 * ((a[:, None] - b[None]) / 0.5) ** 2)
    factor = cho_factor(kernel(xc, xc) + 1e-2 * np.eye(len(xc)), lower=True)
    cross = kernel(xt, xc)
    mean = cross @ cho_solve(factor, yc)
    covariance = kernel(xt, xt) - cross @ cho_solve(factor, cross.T)
    root = cholesky(covariance + 1e-6 * np.eye(len(xt)), lower=True)
    return mean + generator.standard_normal((paths, len(xt))) @ root.T


def sklearn_process(xc, yc, xt, paths):
    """The same by scikit-learn, hyperparameters fixed."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF
    process = GaussianProcessRegressor(RBF(0.5), alpha=1e-2, optimizer=None).fit(xc[:, None], yc)
    return process.sample_y(xt[:, None], paths, random_state=0)
