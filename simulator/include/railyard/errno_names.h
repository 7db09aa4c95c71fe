// The error numbers that a verb may be made to fail with, by name. Numbers differ between systems.
#pragma once

#include <cerrno>

namespace railyard {

struct ErrnoName {
  const char* name;
  int number;
};

inline constexpr ErrnoName kErrnoNames[] = {
    {"EPERM", EPERM},         {"EINTR", EINTR},          {"EIO", EIO},
    {"EAGAIN", EAGAIN},       {"ENOMEM", ENOMEM},        {"EACCES", EACCES},
    {"EFAULT", EFAULT},       {"EBUSY", EBUSY},          {"ENODEV", ENODEV},
    {"EINVAL", EINVAL},       {"EMFILE", EMFILE},        {"ENOSPC", ENOSPC},
    {"ENOSYS", ENOSYS},       {"EPROTO", EPROTO},        {"EOPNOTSUPP", EOPNOTSUPP},
    {"ENETDOWN", ENETDOWN},   {"ENOBUFS", ENOBUFS},      {"EHOSTUNREACH", EHOSTUNREACH},
    {"ETIMEDOUT", ETIMEDOUT}, {"ECONNRESET", ECONNRESET}};

}  // namespace railyard
