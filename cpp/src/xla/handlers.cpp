#include "handlers.h"

#include "call.h"

namespace fastnorm::xla {
namespace {

// Arguments: x, weight, bias.
NormOptions options(Call& call) {
    NormOptions options;
    options.weight = call.argument(1);
    options.bias = call.argument(2);
    options.eps = call.number("eps");
    return options;
}

// Results: y; y, mean, rstd.
NormResults normalized(Call& call) { return {call.result(0)}; }
NormResults with_statistics(Call& call) { return {call.result(0), call.result(1), call.result(2)}; }

void infer_layer_norm(Call& call) { layer_norm(call.argument(0), call.axes(), options(call), normalized(call)); }

void forward_layer_norm(Call& call) {
    layer_norm_forward(call.argument(0), call.axes(), options(call), with_statistics(call));
}

void infer_rms_norm(Call& call) { rms_norm(call.argument(0), call.axes(), options(call), normalized(call)); }

void forward_rms_norm(Call& call) {
    rms_norm_forward(call.argument(0), call.axes(), options(call), with_statistics(call));
}

void infer_group_norm(Call& call) {
    group_norm(call.argument(0), call.integer("num_groups"), call.integer("channel"), options(call), normalized(call));
}

void forward_group_norm(Call& call) {
    group_norm_forward(call.argument(0), call.integer("num_groups"), call.integer("channel"), options(call),
                       with_statistics(call));
}

// Arguments: dy, x, weight, bias, mean, rstd. Results: dx, dweight, dbias.
struct Backward {
    explicit Backward(Call& call)
        : dy(call.argument(0)), x(call.argument(1)), mean(call.argument(4)), rstd(call.argument(5)) {
        options.weight = call.argument(2);
        options.bias = call.argument(3);
        results.dx = call.result(0);
        results.dweight = call.result(1);
        results.dbias = call.result(2);
    }
    Tensor dy, x, mean, rstd;
    BackwardOptions options;
    GradientResults results;
};

void backward_layer_norm(Call& call) {
    const Backward b(call);
    layer_norm_backward(b.dy, b.x, b.mean, b.rstd, call.axes(), b.options, b.results);
}

void backward_rms_norm(Call& call) {
    const Backward b(call);
    rms_norm_backward(b.dy, b.x, b.rstd, call.axes(), b.options, b.results);
}

void backward_group_norm(Call& call) {
    const Backward b(call);
    group_norm_backward(b.dy, b.x, call.integer("num_groups"), b.mean, b.rstd, call.integer("channel"), b.options,
                        b.results);
}

template <void (*kRun)(Call&)>
Error* handler(CallFrame* frame) {
    return guarded(frame, kRun);
}

}  // namespace

const NamedHandler kHandlers[] = {
    {"layer_norm", &handler<infer_layer_norm>},
    {"layer_norm_forward", &handler<forward_layer_norm>},
    {"layer_norm_backward", &handler<backward_layer_norm>},
    {"rms_norm", &handler<infer_rms_norm>},
    {"rms_norm_forward", &handler<forward_rms_norm>},
    {"rms_norm_backward", &handler<backward_rms_norm>},
    {"group_norm", &handler<infer_group_norm>},
    {"group_norm_forward", &handler<forward_group_norm>},
    {"group_norm_backward", &handler<backward_group_norm>},
};

}  // namespace fastnorm::xla
