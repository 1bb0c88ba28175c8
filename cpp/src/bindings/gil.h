// Work without the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <thread>
#include <utility>

namespace fastnorm_python {

// Takes the GIL back. Where the interpreter has ended meanwhile, Python before 3.14 ends the thread instead of
// returning, which unwinds its stack: destructors of Python objects would run without the GIL, and those of C++ may not
// throw. So the thread stops here for good, which is what Python does from 3.14 on.
inline void take_gil(PyThreadState* state) {
    try {
        PyEval_RestoreThread(state);
    } catch (...) {  // no exception of C++: what unwinds the stack
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

// Calls run() while other threads of Python go on. Exceptions pass through, with the GIL.
template <class F>
void without_gil(F&& run) {
    std::exception_ptr error;
    PyThreadState* const state = PyEval_SaveThread();
    try {
        std::forward<F>(run)();
    } catch (...) {
        error = std::current_exception();
    }
    take_gil(state);
    if (error) std::rethrow_exception(std::move(error));
}

}  // namespace fastnorm_python
