#include "library.h"

#include <atomic>
#include <string>
#include <vector>

#include "operators.h"

namespace fastnorm::onnxruntime {
namespace {

constexpr ElementType kElements[] = {kFloat16, kBFloat16, kFloat, kDouble};

const Registered& of(const CustomOp* op) { return *static_cast<const Registered*>(op); }

// Calls f; what it throws becomes a status.
template <class F>
Status* guarded(const Api* api, F&& f) {
    try {
        f();
        return nullptr;
    } catch (const Failure& failure) {
        return failure.status;
    } catch (const Error& error) {
        return create_status(api, kInvalidArgument, error.what());
    } catch (const std::exception& error) {
        return create_status(api, kRuntimeException, error.what());
    }
}

Registered registered(const Operator& op, ElementType element, bool is_own) {
    Registered result;
    result.op = &op;
    result.element = element;
    result.is_own = is_own;
    result.name = [](const CustomOp* self) { return of(self).op->name; };
    result.execution_provider = [](const CustomOp*) { return "CPUExecutionProvider"; };
    result.input_count = [](const CustomOp* self) { return of(self).op->inputs; };
    result.input_type = [](const CustomOp* self, std::size_t) { return of(self).element; };
    result.input_characteristic = [](const CustomOp* self, std::size_t index) {
        return index < of(self).op->required ? kRequired : kOptional;
    };
    result.input_memory = [](const CustomOp*, std::size_t) { return 0; };
    result.output_count = [](const CustomOp* self) { return of(self).op->outputs; };
    result.output_type = [](const CustomOp* self, std::size_t index) {
        return is_statistic(index) ? kFloat : of(self).element;
    };
    result.output_characteristic = [](const CustomOp*, std::size_t index) {
        return index == 0 ? kRequired : kOptional;
    };
    const auto one = [](const CustomOp*) { return 1; };
    result.variadic_input_least = result.variadic_input_homogeneity = one;
    result.variadic_output_least = result.variadic_output_homogeneity = one;
    result.create_kernel_v2 = [](const CustomOp* self, const Api* api, const KernelInfo* info, void** kernel) {
        return guarded(api, [&] { *kernel = new Kernel(of(self), api, info); });
    };
    result.compute_v2 = [](void* kernel, KernelContext* context) {
        const Kernel& node = *static_cast<const Kernel*>(kernel);
        return guarded(node.api, [&] {
            Call call(node, context);
            node.op->run(call);
        });
    };
    result.destroy_kernel = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
    return result;
}

// The domains of one runtime. Sessions point to them, so they stay until the process ends.
struct Domains {
    explicit Domains(const Api* table) : api(table) {
        for (std::size_t i = 0; i < kOperatorCount; ++i) {
            for (const ElementType element : kElements) {
                if (i < kStandardCount) standard_ops.push_back(registered(kOperators[i], element, false));
                own_ops.push_back(registered(kOperators[i], element, true));
            }
        }
        standard = filled("", standard_ops);
        own = filled("fastnorm", own_ops);
    }

    CustomOpDomain* filled(const char* name, const std::vector<Registered>& ops) const {
        CustomOpDomain* domain = nullptr;
        check(create_custom_op_domain(api, name, &domain));
        for (const Registered& op : ops) check(custom_op_domain_add(api, domain, &op));
        return domain;
    }

    const Api* api;
    std::vector<Registered> standard_ops, own_ops;
    CustomOpDomain *standard = nullptr, *own = nullptr;
    const Domains* next = nullptr;
};

// Those of every runtime that was met, usually one. Without a lock, which a fork could leave taken.
std::atomic<const Domains*> known_domains{nullptr};

const Domains& domains_of(const Api* api) {
    for (const Domains* known = known_domains.load(); known; known = known->next) {
        if (known->api == api) return *known;
    }
    auto* const made = new Domains(api);
    made->next = known_domains.load();
    while (!known_domains.compare_exchange_weak(made->next, made)) {
    }
    return *made;
}

thread_local bool overrides = true;

}  // namespace

Status* register_operators(SessionOptions* options, const ApiBase* base, bool override_standard) {
    const Api* const api = base->get_api(kVersion);
    if (!api) {
        const std::string text = std::string("fastnorm needs ONNX Runtime 1.16 or newer, got ") + base->version();
        return create_status(base->get_api(1), kFail, text.c_str());
    }
    return guarded(api, [&] {
        const Domains& domains = domains_of(api);
        check(add_custom_op_domain(api, options, domains.own));
        if (override_standard) check(add_custom_op_domain(api, options, domains.standard));
    });
}

bool set_override(bool override_standard) {
    const bool before = overrides;
    overrides = override_standard;
    return before;
}

bool get_override() { return overrides; }

}  // namespace fastnorm::onnxruntime
