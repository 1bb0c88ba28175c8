#include "plain_functions.h"

namespace fastnorm_python {
namespace {

template <PlainFunction* kFunction, Py_ssize_t kCount>
PyObject* checked(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != kCount) {
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", kCount, count);
        return nullptr;
    }
    try {
        return kFunction(args);
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

template <PlainFunction* kFunction, Py_ssize_t kCount>
PyMethodDef method(const char* name) {
    // The cast through void* is what METH_FASTCALL asks for.
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&checked<kFunction, kCount>)), METH_FASTCALL,
            nullptr};
}

}  // namespace

void add_plain_functions(py::module_& m) {
    static PyMethodDef methods[] = {
        method<plain_layer_norm, 6>("plain_layer_norm"),
        method<plain_layer_norm_forward, 6>("plain_layer_norm_forward"),
        method<plain_layer_norm_backward, 5>("plain_layer_norm_backward"),
        method<plain_rms_norm, 6>("plain_rms_norm"),
        method<plain_rms_norm_forward, 6>("plain_rms_norm_forward"),
        method<plain_rms_norm_backward, 4>("plain_rms_norm_backward"),
        method<plain_add_layer_norm, 7>("plain_add_layer_norm"),
        method<plain_add_rms_norm, 7>("plain_add_rms_norm"),
        method<plain_group_norm, 8>("plain_group_norm"),
        method<plain_group_norm_forward, 8>("plain_group_norm_forward"),
        method<plain_group_norm_backward, 7>("plain_group_norm_backward"),
        method<plain_instance_norm, 7>("plain_instance_norm"),
        method<plain_instance_norm_forward, 9>("plain_instance_norm_forward"),
        method<plain_instance_norm_backward, 6>("plain_instance_norm_backward"),
        method<plain_batch_norm, 9>("plain_batch_norm"),
        method<plain_batch_norm_forward, 11>("plain_batch_norm_forward"),
        method<plain_batch_norm_backward, 6>("plain_batch_norm_backward"),
        method<plain_weight_norm, 5>("plain_weight_norm"),
        method<plain_weight_norm_backward, 5>("plain_weight_norm_backward"),
        method<plain_weight_standardization, 5>("plain_weight_standardization"),
        method<plain_weight_standardization_backward, 7>("plain_weight_standardization_backward"),
        {nullptr, nullptr, 0, nullptr}};
    if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
}

}  // namespace fastnorm_python
