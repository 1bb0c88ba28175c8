#include "functions.h"

#include <new>

namespace fastnorm_python {

PyObject* call(Function* function, PyObject* const* values, Py_ssize_t count, Py_ssize_t expected) {
    if (count != expected) {
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, count);
        return nullptr;
    }
    Arguments arguments(values, count);
    Results results(arguments);
    PyObject* result = nullptr;
    try {
        result = function(arguments, results);
    } catch (const PythonError&) {
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const fn::Error& error) {
        const bool is_type = error.kind() == fn::Error::Kind::type;
        PyErr_SetString(is_type ? PyExc_TypeError : PyExc_ValueError, arguments.corrected(error.what()).c_str());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    results.discard();
    arguments.finish();
    return result;
}

void add_methods(py::module_& m, PyMethodDef* methods) {
    if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
}

}  // namespace fastnorm_python
